"""Statuses: of gRPC, of HTTP, and of the server's own errors; and answers to gRPC calls by hand."""

from __future__ import annotations

import base64
import enum
import re
import urllib.parse
from typing import TYPE_CHECKING

from google.rpc import error_details_pb2, status_pb2

from sift_server import errors
from sift_wire.messages import frame

if TYPE_CHECKING:
    from sift_server.api.asgi import Send

ESCAPED_MESSAGE_BYTES_MAX = 4_096
"""Longest status message as it travels: percent-encoded in a header. The gRPC library allows all
headers together 8 KiB, and takes a call whose headers are larger for RESOURCE_EXHAUSTED."""

_DETAILS_MESSAGE_MAX = 500
"""Characters of the message in a status's details."""

_PART_OF_AN_ESCAPE = re.compile(r"%.?$")


class GrpcCode(enum.IntEnum):
    """Status codes of gRPC that this server gives."""

    OK = 0
    INVALID_ARGUMENT = 3
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


HTTP_STATUS = {
    GrpcCode.INVALID_ARGUMENT: 400,
    GrpcCode.NOT_FOUND: 404,
    GrpcCode.ALREADY_EXISTS: 409,
    GrpcCode.PERMISSION_DENIED: 403,
    GrpcCode.RESOURCE_EXHAUSTED: 429,
    GrpcCode.FAILED_PRECONDITION: 400,
    GrpcCode.UNIMPLEMENTED: 501,
    GrpcCode.INTERNAL: 500,
    GrpcCode.UNAVAILABLE: 503,
    GrpcCode.UNAUTHENTICATED: 401,
}
"""HTTP status of each code; source: google/rpc/code.proto."""

_CODES: dict[type[errors.ServerError], GrpcCode] = {
    errors.InvalidArgumentError: GrpcCode.INVALID_ARGUMENT,
    errors.NotFoundError: GrpcCode.NOT_FOUND,
    errors.AlreadyExistsError: GrpcCode.ALREADY_EXISTS,
    errors.PermissionDeniedError: GrpcCode.PERMISSION_DENIED,
    errors.FailedPreconditionError: GrpcCode.FAILED_PRECONDITION,
    errors.ResourceExhaustedError: GrpcCode.RESOURCE_EXHAUSTED,
    errors.UnauthenticatedError: GrpcCode.UNAUTHENTICATED,
    errors.UnavailableError: GrpcCode.UNAVAILABLE,
    errors.UnimplementedError: GrpcCode.UNIMPLEMENTED,
}


def code_of(error: errors.ServerError) -> GrpcCode:
    """Status code of an error."""
    return next(code for kind, code in _CODES.items() if isinstance(error, kind))


def fitted(message: str) -> str:
    """A status message, cut where it would be too long percent-encoded."""
    # A character takes a byte or more.
    escaped = urllib.parse.quote(message[: ESCAPED_MESSAGE_BYTES_MAX + 1], safe="")
    if len(escaped) <= ESCAPED_MESSAGE_BYTES_MAX:
        return message
    end = "…"
    kept = escaped[: ESCAPED_MESSAGE_BYTES_MAX - len(urllib.parse.quote(end))]
    return urllib.parse.unquote(_PART_OF_AN_ESCAPE.sub("", kept), errors="ignore") + end


async def send_grpc_response(send: Send, message: bytes) -> None:
    """Answer a gRPC call with one message and the status OK."""
    await _start(send)
    await send({"type": "http.response.body", "body": frame(message), "more_body": False})
    await _end(send, [(b"grpc-status", b"0")])


async def send_grpc_error(
    send: Send, code: GrpcCode, message: str, retry_delay_ms: int | None = None
) -> None:
    """Answer a gRPC call with a status other than OK.

    Args:
        send: Where to.
        code: The status.
        message: What happened.
        retry_delay_ms: How long the client should wait before it tries again; it is told in the
            `google.rpc.RetryInfo` of the status.
    """
    await _start(send)
    await send({"type": "http.response.body", "body": b"", "more_body": False})
    await send_grpc_trailers(send, code, message, retry_delay_ms)


async def send_grpc_trailers(
    send: Send, code: GrpcCode, message: str, retry_delay_ms: int | None = None
) -> None:
    """End an answer to a gRPC call that has begun; as `send_grpc_error`."""
    message = fitted(message)
    trailers = [
        (b"grpc-status", str(int(code)).encode("ascii")),
        (b"grpc-message", urllib.parse.quote(message, safe="").encode("ascii")),
    ]
    if retry_delay_ms is not None:
        trailers.append((b"grpc-status-details-bin", _details(code, message, retry_delay_ms)))
    await _end(send, trailers)


def _details(code: GrpcCode, message: str, retry_delay_ms: int) -> bytes:
    """A `google.rpc.Status`, as headers have bytes: base64 without padding."""
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromMilliseconds(retry_delay_ms)
    # The message is beside it; twice as long, it may be too long.
    status = status_pb2.Status(code=int(code), message=message[:_DETAILS_MESSAGE_MAX])
    status.details.add().Pack(retry)
    return base64.b64encode(status.SerializeToString()).rstrip(b"=")


async def _start(send: Send) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"application/grpc"),
                (b"grpc-accept-encoding", b"identity,gzip"),
            ],
            "trailers": True,
        }
    )


async def _end(send: Send, trailers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.trailers", "headers": trailers, "more_trailers": False})
