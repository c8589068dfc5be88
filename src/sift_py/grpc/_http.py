"""Streams of messages over HTTP/2, as bytes: what gRPC's own library does a message at a time.

The protocol: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING
from urllib.parse import unquote

import grpc
from pyqwest import HTTPVersion, Proxy, SyncClient, SyncHTTPTransport

from sift_py.errors import IngestionStreamError, ServiceClosedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sift_py.grpc._interceptors import Metadata
    from sift_py.grpc._target import ChannelTarget

    _Inbox = SimpleQueue[tuple[Future[None], str, "Body"] | None]

CONNECT_TIMEOUT_S = 30.0
STREAMS_MAX = 64
"""Calls of one channel that run at a time; more wait."""

_ROOTS_VARIABLE = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"
_CODES = {code.value[0]: code for code in grpc.StatusCode}
# https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
_CODE_OF_HTTP_STATUS = {
    400: grpc.StatusCode.INTERNAL,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.UNIMPLEMENTED,
    429: grpc.StatusCode.UNAVAILABLE,
    502: grpc.StatusCode.UNAVAILABLE,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.UNAVAILABLE,
}
_NO_PROXY = Proxy("http://localhost", scheme="https")
"""Given to plaintext transports: a rule that never applies keeps those of the environment out."""


class HttpStreams:
    """Client-streaming calls to one server. Safe from many threads.

    Connections are kept and shared; a call is one HTTP/2 stream, whose body is read from the caller
    as fast as the server takes it and no faster.
    """

    def __init__(self, target: ChannelTarget, metadata: Metadata) -> None:
        scheme = "https" if target.use_tls else "http"
        self._origin = f"{scheme}://{target.authority}"
        self._headers = [
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            *metadata,
        ]
        roots = os.environ.get(_ROOTS_VARIABLE)
        self._transport = SyncHTTPTransport(
            http_version=HTTPVersion.HTTP2,
            tls_ca_cert=Path(roots).read_bytes() if target.use_tls and roots else None,
            tls_include_system_certs=not roots,
            # Proxies take HTTP/2 in a tunnel, which only TLS gets.
            proxy=None if target.use_tls else _NO_PROXY,
            connect_timeout=CONNECT_TIMEOUT_S,
            follow_redirects=False,
            enable_otel=False,
        )
        self._client = SyncClient(self._transport)
        self._process_id = os.getpid()
        self._slots = threading.Semaphore(STREAMS_MAX)
        self._idle: deque[_Inbox] = deque()
        """Of threads that wait for a call to run."""
        # Guards what follows.
        self._state = threading.Condition()
        self._callers = 0
        self._closed = False

    def send(self, method: str, chunks: Iterable[bytes]) -> None:
        """Make a call whose response says nothing, and wait for its end.

        Args:
            method: Path of the method, such as `/package.Service/Method`.
            chunks: The body: any number of whole frames each.

        Raises:
            IngestionStreamError: The call ended with a status other than OK, or the server can't be
                reached (`UNAVAILABLE`). Some of the messages may have been taken.
            ServiceClosedError: The channel is closed, or was opened before this process was forked.
            Exception: What iterating over `chunks` raised; the call is broken off.
        """
        if os.getpid() != self._process_id:
            # Of the threads that move the bytes, a fork copies none: the call would never end.
            raise ServiceClosedError(
                "the channel was opened before this process was forked; open one after the fork."
            )
        body = Body(chunks)
        call: Future[None] = Future()
        with self._state:
            if self._closed:
                raise ServiceClosedError("the channel is closed; open a new one.")
            self._callers += 1
        try:
            self._start(call, method, body)
            call.result()
        except IngestionStreamError:
            if body.error is not None:
                raise body.error from None
            raise
        except BaseException:
            body.stop()
            raise
        finally:
            with self._state:
                self._callers -= 1
                self._state.notify_all()

    def _start(self, call: Future[None], method: str, body: Body) -> None:
        """Make a call in another thread, which leaves this one free for Ctrl-C.

        That thread must not keep the program from ending if the server neither reads nor answers,
        as those of a `ThreadPoolExecutor` would.
        """
        try:
            inbox = self._idle.pop()
        except IndexError:
            inbox = SimpleQueue()
            threading.Thread(
                target=self._work, args=(inbox,), name="sift-stream", daemon=True
            ).start()
        inbox.put((call, method, body))

    def _work(self, inbox: _Inbox) -> None:
        while (job := inbox.get()) is not None:
            call, method, body = job
            failure: BaseException | None = None
            try:
                with self._slots:
                    self._call(method, body)
            except BaseException as error:  # noqa: BLE001 - it is raised where the caller waits
                failure = error
            if self._closed:
                inbox.put(None)
            else:
                self._idle.append(inbox)
            if failure is None:
                call.set_result(None)
            else:
                call.set_exception(failure)
            del job, call, body, failure

    def _call(self, method: str, body: Body) -> None:
        try:
            with self._client.stream(
                "POST", f"{self._origin}{method}", self._headers, iter(body)
            ) as response:
                for _ in response.content:
                    pass
                status = response.headers.get("grpc-status") or response.trailers.get("grpc-status")
                text = response.headers.get("grpc-message") or response.trailers.get("grpc-message")
                http_status = response.status
        except ConnectionError as error:
            raise IngestionStreamError(
                grpc.StatusCode.UNAVAILABLE, f"{self._origin} can't be reached: {error}"
            ) from error
        except Exception as error:  # the library documents many, and Rust may raise others
            raise IngestionStreamError(
                grpc.StatusCode.UNAVAILABLE,
                f"the stream to {self._origin}, which must speak HTTP/2, broke off: {error}",
            ) from error
        if status is None:
            code = _CODE_OF_HTTP_STATUS.get(http_status, grpc.StatusCode.UNKNOWN)
            raise IngestionStreamError(
                code,
                f"{self._origin} answered HTTP status {http_status} and no gRPC status:"
                " is it a server of the protocol?",
            )
        code = _CODES.get(int(status) if status.isdecimal() else -1, grpc.StatusCode.UNKNOWN)
        if code is not grpc.StatusCode.OK:
            raise IngestionStreamError(code, unquote(text or ""))

    def close(self) -> None:
        """Let running calls end, but those that were broken off, and close the connections."""
        if os.getpid() != self._process_id:
            return
        with self._state:
            self._closed = True
            self._state.wait_for(lambda: not self._callers)
        while self._idle:
            self._idle.pop().put(None)
        self._transport.close()


class Body:
    """The body of a call, which remembers its own error and can be broken off.

    Attributes:
        error: What iterating over the chunks raised.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self._stopped = False
        self.error: BaseException | None = None

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._chunks:
                self._check()
                yield chunk
        except GeneratorExit:
            raise
        except BaseException as error:
            self.error = error
            raise

    def stop(self) -> None:
        """Break the call off: to end the body would end the call as if all were said."""
        self._stopped = True

    def _check(self) -> None:
        if self._stopped:
            raise InterruptedError("the call was broken off")
