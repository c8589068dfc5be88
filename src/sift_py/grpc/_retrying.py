"""Which failures pass, and the loop that tries again."""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING, TypeVar

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from sift_py.grpc.retry import RetryPolicy

DETAILS_KEY = "grpc-status-details-bin"
"""Where a status has its details: a serialised `google.rpc.Status`."""

TRANSIENT_CODES = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
    }
)

_T = TypeVar("_T")
_logger = logging.getLogger(__name__)


def code_of(error: BaseException) -> grpc.StatusCode | None:
    """The status of a call that failed; None for any other error."""
    code = getattr(error, "code", None)
    return code() if isinstance(error, grpc.RpcError) and callable(code) else None


def is_transient(error: BaseException) -> bool:
    """Whether a call failed for a reason that may pass."""
    return code_of(error) in TRANSIENT_CODES


def asked_wait_ms(error: grpc.RpcError) -> float | None:
    """How long the server asks to wait (`google.rpc.RetryInfo`), or None."""
    metadata = getattr(error, "trailing_metadata", None)
    for key, value in (metadata() if callable(metadata) else None) or ():
        if key != DETAILS_KEY:
            continue
        try:
            status = Status.FromString(value)
            for detail in status.details:
                info = RetryInfo()
                if detail.Unpack(info):
                    delay = info.retry_delay
                    delay_ms: float = delay.seconds * 1e3 + delay.nanos / 1e6
                    return max(0.0, delay_ms)
        except (DecodeError, TypeError):
            # Who can't word details asks for nothing.
            return None
    return None


def retried(call: Callable[[], _T], policy: RetryPolicy) -> _T:
    """Make a call, and make it again while its failures are transient and the policy allows.

    Args:
        call: Does no harm when it is made twice.
        policy: How often, and when.

    Raises:
        grpc.RpcError: The last failure; a note has how often it was tried.
    """
    clock = policy.clock
    began_s = clock.monotonic()
    failures = 0
    while True:
        try:
            return call()
        except grpc.RpcError as error:
            if not is_transient(error):
                raise
            failures += 1
            spent_ms = (clock.monotonic() - began_s) * 1e3
            wait_ms = policy.wait_ms(failures, random.random(), asked_wait_ms(error))  # noqa: S311 - no secret
            if failures >= policy.attempts_max or spent_ms + wait_ms > policy.total_ms_max:
                if failures > 1:
                    error.add_note(f"It was tried {failures} times in {spent_ms / 1e3:.1f} s.")
                raise
            _logger.info("a call failed, trying again in %d ms: %s", wait_ms, error)
        clock.sleep(wait_ms / 1e3)
