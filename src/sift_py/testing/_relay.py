"""A gRPC server that passes every call on, but those that it is told to answer itself."""
# ruff: noqa: ANN401 - calls of any service

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from sift_py.grpc._retrying import DETAILS_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

_THREADS = 32
_OWN_NAMES = ("grpc-", "user-agent", "te", "content-type")
"""Metadata of the transport, which each connection has of its own; as prefixes."""


@dataclass(slots=True)
class Answer:
    """What to answer in a server's place; see `FaultProxy.answer`."""

    code: grpc.StatusCode
    details: str
    times: int
    method: str | None
    retry_after_ms: int | None
    is_taken: bool

    def fits(self, method: str) -> bool:
        """Whether it is for a method, `/package.Service/Method`."""
        return self.times > 0 and self.method in (None, method.rpartition("/")[2])


class Relay(grpc.GenericRpcHandler):
    """Listens on a free port of the loopback interface.

    Attributes:
        port: The port.
    """

    def __init__(self, target: str) -> None:
        self._lock = threading.Lock()
        self._answers: list[Answer] = []
        self._channel = grpc.insecure_channel(target, [("grpc.enable_http_proxy", 0)])
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="sift-relay")
        self._server = grpc.server(
            self._threads,
            handlers=[self],
            options=[
                ("grpc.max_receive_message_length", -1),
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
                ("grpc.keepalive_permit_without_calls", 1),
            ],
        )
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def script(self, answer: Answer) -> None:
        """Give an answer to calls that come, after those that were given before."""
        with self._lock:
            self._answers.append(answer)

    def clear(self) -> None:
        """Pass every call on."""
        with self._lock:
            self._answers.clear()

    def close(self) -> None:
        """Break all calls off and stop listening."""
        self._server.stop(None).wait()
        self._channel.close()
        self._threads.shutdown()

    def service(self, handler_call_details: Any) -> Any:
        """Part of gRPC's interface: the handler of a call, whatever its method."""
        method: str = handler_call_details.method

        def handle(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            answer = self._answer_for(method)
            if answer is not None and not answer.is_taken:
                _abort(context, answer)
            kept = [
                (key, value)
                for key, value in context.invocation_metadata()
                if not key.startswith(_OWN_NAMES)
            ]
            forward: Any = self._channel.stream_stream(method)
            call = forward(requests, metadata=kept)
            context.add_callback(call.cancel)
            try:
                for response in call:
                    if answer is None:
                        yield response
            except grpc.RpcError as error:
                status: Any = error
                context.set_trailing_metadata(status.trailing_metadata() or ())
                context.abort(status.code(), status.details() or "")
            if answer is not None:
                _abort(context, answer)

        return grpc.stream_stream_rpc_method_handler(handle)

    def _answer_for(self, method: str) -> Answer | None:
        with self._lock:
            for answer in self._answers:
                if answer.fits(method):
                    answer.times -= 1
                    return answer
            return None


def _abort(context: grpc.ServicerContext, answer: Answer) -> None:
    if answer.retry_after_ms is not None:
        info = RetryInfo()
        info.retry_delay.FromMilliseconds(answer.retry_after_ms)
        status = Status(code=answer.code.value[0], message=answer.details)
        status.details.add().Pack(info)
        context.set_trailing_metadata(((DETAILS_KEY, status.SerializeToString()),))
    context.abort(answer.code, answer.details)
