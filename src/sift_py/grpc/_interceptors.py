"""Puts the API key, and what else the user configured, on every call of a channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

import grpc

from sift_py._internal.process import OwnProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_Request = TypeVar("_Request")
_Call = TypeVar("_Call")

Metadata = tuple[tuple[str, str], ...]
"""Pairs of a lower-case name and a value, as gRPC takes them."""


class _CallDetailsFields(NamedTuple):
    method: str
    timeout: float | None
    metadata: tuple[tuple[str, str | bytes], ...]
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: grpc.Compression | None


class _CallDetails(_CallDetailsFields, grpc.ClientCallDetails):  # type: ignore[misc]
    """The call's details; a named tuple, because gRPC's class has no constructor."""


class MetadataInterceptor(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Sets metadata on every call; a call's own entries of the same names give way.

    In a forked child it refuses every call: gRPC's connections are the parent's, and it would hang.
    Safe from many threads.
    """

    def __init__(self, metadata: Metadata) -> None:
        self._process = OwnProcess("the channel")
        self._metadata = metadata
        self._names = frozenset(name for name, _ in self._metadata)

    def intercept_unary_unary(
        self,
        continuation: Callable[[grpc.ClientCallDetails, _Request], _Call],
        client_call_details: grpc.ClientCallDetails,
        request: _Request,
    ) -> _Call:
        return continuation(self._with_metadata(client_call_details), request)

    def intercept_unary_stream(
        self,
        continuation: Callable[[grpc.ClientCallDetails, _Request], _Call],
        client_call_details: grpc.ClientCallDetails,
        request: _Request,
    ) -> _Call:
        return continuation(self._with_metadata(client_call_details), request)

    def intercept_stream_unary(
        self,
        continuation: Callable[[grpc.ClientCallDetails, Iterator[_Request]], _Call],
        client_call_details: grpc.ClientCallDetails,
        request_iterator: Iterator[_Request],
    ) -> _Call:
        return continuation(self._with_metadata(client_call_details), request_iterator)

    def intercept_stream_stream(
        self,
        continuation: Callable[[grpc.ClientCallDetails, Iterator[_Request]], _Call],
        client_call_details: grpc.ClientCallDetails,
        request_iterator: Iterator[_Request],
    ) -> _Call:
        return continuation(self._with_metadata(client_call_details), request_iterator)

    def _with_metadata(self, details: grpc.ClientCallDetails) -> _CallDetails:
        self._process.check()
        kept = (pair for pair in details.metadata or () if pair[0].lower() not in self._names)
        return _CallDetails(
            details.method,
            details.timeout,
            (*kept, *self._metadata),
            details.credentials,
            getattr(details, "wait_for_ready", None),
            getattr(details, "compression", None),
        )
