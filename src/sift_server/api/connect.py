"""The doors of gRPC and Connect: `connectrpc` over the registry's methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectrpc.code import Code
from connectrpc.compat import google_protobuf_codecs
from connectrpc.errors import ConnectError
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.server import ConnectASGIApplication, Endpoint

from sift_server.api.grpc_status import GrpcCode, code_of, fitted
from sift_server.api.registry import Method, Registry, UnexpectedError
from sift_server.api.request_bytes import CountedGzip
from sift_server.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from google.protobuf.message import Message

    from sift_server.api.request_bytes import RequestBytes

REQUEST_BYTES_MAX = 64 * 1024 * 1024
"""Largest unary request: configs with many wide flows are."""


class _NamedLimit(int):
    """A number that `connectrpc` puts into its message together with its name."""

    def __format__(self, _: str) -> str:
        return f"REQUEST_BYTES_MAX = {int(self)} bytes"


class ConnectApplication(ConnectASGIApplication[Registry]):
    """Answers every unary RPC of the protocol; those that the server lacks with UNIMPLEMENTED."""

    def __init__(self, registry: Registry, request_bytes: RequestBytes) -> None:
        self._request_bytes = request_bytes
        super().__init__(
            service=registry,
            endpoints=lambda _: {
                method.path: _endpoint(registry, method) for method in registry.methods
            },
            read_max_bytes=_NamedLimit(REQUEST_BYTES_MAX),
            compressions=[CountedGzip()],
            codecs=google_protobuf_codecs(),
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 (ASGI by other names)
        """Answer one call."""
        with self._request_bytes.counted(_too_large) as held:
            await super().__call__(scope, held.receiving(receive), send)

    @property
    def path(self) -> str:
        """Where the application is mounted."""
        return "/"


def _too_large(message: str) -> Exception:
    return ConnectError(Code.RESOURCE_EXHAUSTED, message)


def _endpoint(registry: Registry, method: Method) -> Any:  # noqa: ANN401 (connectrpc's union)
    info: MethodInfo[Any, Any] = MethodInfo(
        name=method.descriptor.name,
        service_name=method.descriptor.containing_service.full_name,
        input=method.request_type,
        output=method.response_type,
        idempotency_level=IdempotencyLevel.UNKNOWN,
        stream_type=StreamType.UNARY if method.is_unary else StreamType.CLIENT_STREAM,
    )

    async def unary(request: Message, _context: object) -> Message:
        try:
            return await registry.call(method, request)
        except ServerError as error:
            raise ConnectError(_CODES[code_of(error)], fitted(str(error))) from None
        except UnexpectedError as error:
            raise ConnectError(Code.INTERNAL, str(error)) from None

    async def streaming(_requests: AsyncIterator[Message], context: object) -> Message:
        return await unary(method.request_type(), context)

    if method.is_unary:
        return Endpoint.unary(info, unary)
    return Endpoint.client_stream(info, streaming)


_CODES: dict[GrpcCode, Code] = {
    code: Code[code.name] for code in GrpcCode if code is not GrpcCode.OK
}
