"""How often calls are tried again, and how long is waited in between.

Example:
    ```python
    from sift_py.grpc.retry import RetryPolicy

    patient = RetryPolicy(attempts_max=50, wait_ms_max=30_000, total_ms_max=15 * 60_000)
    service = IngestionService(channel, config, retry_policy=patient)
    ```
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sift_py._internal.clock import SYSTEM_CLOCK, Clock
from sift_py.errors import RetryPolicyError

__all__ = ["DEFAULT_RETRY_POLICY", "NO_RETRIES", "RetryPolicy"]

WAIT_FACTOR = 2
"""How much longer each wait may be than the one before."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How a call that failed for a passing reason is tried again.

    The n-th wait is drawn from 0 to `first_wait_ms * 2**(n - 1)`, evenly ("full jitter": many
    clients that lost one server do not come back in step), and never more than `wait_ms_max`. A
    server that says how long to wait (`google.rpc.RetryInfo`) is given that, up to `wait_ms_max`.

    Attributes:
        attempts_max: How often a call is made at most; 1 for no retries.
        first_wait_ms: Longest first wait.
        wait_ms_max: Longest wait.
        total_ms_max: No wait begins that would end later than this after the first attempt began.
        clock: What the waits go by; see `sift_py.testing.ManualClock`.

    Raises:
        RetryPolicyError: A limit is no number, or negative, or there is no attempt at all.
    """

    attempts_max: int = 8
    first_wait_ms: float = 100
    wait_ms_max: float = 10_000
    total_ms_max: float = 60_000
    clock: Clock = field(default=SYSTEM_CLOCK, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name, smallest in (
            ("attempts_max", 1),
            ("first_wait_ms", 0),
            ("wait_ms_max", 0),
            ("total_ms_max", 0),
        ):
            value = getattr(self, name)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            # NaN is not at least anything.
            if not is_number or not value >= smallest:
                raise RetryPolicyError(
                    f"{name} of a RetryPolicy must be a number from {smallest}, got {value!r}."
                )

    def wait_ms(self, failures: int, chance: float, asked_ms: float | None = None) -> float:
        """How long to wait after so many failures.

        Args:
            failures: How often the call failed, from 1.
            chance: A random number from 0 to 1.
            asked_ms: What the server asked for.
        """
        factor: int = WAIT_FACTOR ** min(failures - 1, 63)
        drawn = chance * min(self.wait_ms_max, self.first_wait_ms * factor)
        if asked_ms is None:
            return drawn
        # Never sooner than asked, and not all clients at the same moment.
        return min(self.wait_ms_max, asked_ms + chance * self.first_wait_ms)


DEFAULT_RETRY_POLICY = RetryPolicy()
"""Up to 8 attempts over about 6 seconds, 13 at most: a server that restarts is waited for."""

NO_RETRIES = RetryPolicy(attempts_max=1)
