"""What the control calls have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sift_py.grpc._retrying import retried

if TYPE_CHECKING:
    from sift_py.grpc.retry import RetryPolicy

CONTROL_CALL_TIMEOUT_S = 60
"""How long a call to the control plane may take; ingest streams have no such limit."""

_Response_co = TypeVar("_Response_co", covariant=True)


class _Method(Protocol[_Response_co]):
    """A method of a stub."""

    def __call__(self, request: Any, /, *, timeout: float) -> _Response_co: ...  # noqa: ANN401 - of any service


def call_with_retries(
    method: _Method[_Response_co],
    request: object,
    policy: RetryPolicy,
) -> _Response_co:
    """Make a unary call that does no harm when it is made twice.

    Raises:
        grpc.RpcError: It failed, and the policy allows no more attempts.
    """
    return retried(lambda: method(request, timeout=CONTROL_CALL_TIMEOUT_S), policy)


def equals_filter(field: str, value: str) -> str:
    """Return the list filter `field=="value"`, with what must be escaped in it escaped.

    Without blanks: servers see it exactly as the published client writes it.
    """
    escaped = (
        value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    )
    return f'{field}=="{escaped}"'
