"""Streams of messages over HTTP/2, as bytes: what gRPC's own library does a message at a time.

The protocol: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md.
"""

from __future__ import annotations

import base64
import binascii
import os
import threading
import time
from collections import deque
from concurrent.futures import Future, wait
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING
from urllib.parse import unquote

import grpc
from pyqwest import HTTPVersion, Proxy, SyncClient, SyncHTTPTransport

from sift_py._internal.process import OwnProcess
from sift_py.errors import IngestionStreamError, ServiceClosedError
from sift_py.grpc._retrying import DETAILS_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sift_py.grpc._interceptors import Metadata
    from sift_py.grpc._target import ChannelTarget

    _Inbox = SimpleQueue[tuple[Future[None], "_Request", SyncHTTPTransport] | None]

CONNECT_TIMEOUT_S = 30.0
STALLED_TIMEOUT_S = 60.0
"""A call is broken off when the server neither took a chunk nor answered for so long.

More than a server needs that is alive: it takes its time while it writes to its lake.
"""
STREAMS_MAX = 64
"""Calls of one channel that run at a time; more wait."""

_ROOTS_VARIABLE = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"
CODES = {code.value[0]: code for code in grpc.StatusCode}
# https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
CODE_OF_HTTP_STATUS = {
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


class CertificateRefusedError(IngestionStreamError):
    """The server's certificate is not good enough for this transport. Nothing was sent.

    It is stricter than gRPC's: it refuses a certificate of an authority as a server's own.
    """


class HttpStreams:
    """Client-streaming calls to one server. Safe from many threads.

    Connections are kept and shared; a call is one HTTP/2 stream, whose body is read from the caller
    as fast as the server takes it and no faster.
    """

    def __init__(
        self,
        target: ChannelTarget,
        metadata: Metadata,
        stalled_timeout_s: float = STALLED_TIMEOUT_S,
    ) -> None:
        self._target = target
        self._stalled_timeout_s = stalled_timeout_s
        scheme = "https" if target.use_tls else "http"
        self._origin = f"{scheme}://{target.authority}"
        self._headers = [
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            *metadata,
        ]
        self._transport = open_transport(target, HTTPVersion.HTTP2)
        self._process = OwnProcess("the channel")
        self._slots = threading.Semaphore(STREAMS_MAX)
        self._idle: deque[_Inbox] = deque()
        """Of threads that wait for a call to run."""
        # Guards what follows.
        self._state = threading.Condition()
        self._callers = 0
        self._closed = False
        self._refusal: CertificateRefusedError | None = None

    def send(self, method: str, chunks: Iterable[bytes], metadata: Metadata = ()) -> None:
        """Make a call whose response says nothing, and wait for its end.

        Args:
            method: Path of the method, such as `/package.Service/Method`.
            chunks: The body: any number of whole frames each.
            metadata: Of this call alone.

        Raises:
            CertificateRefusedError: The chunks were not touched, and can be sent in another way.
            IngestionStreamError: The call ended with a status other than OK, or the server can't be
                reached or stopped answering (`UNAVAILABLE`). Some of the messages may have been
                taken.
            ServiceClosedError: The channel is closed, or was opened before this process was forked.
            Exception: What iterating over `chunks` raised; the call is broken off.
        """
        self._process.check()
        with self._state:
            if self._closed:
                raise ServiceClosedError("the channel is closed; open a new one.")
            if self._refusal is not None:
                raise CertificateRefusedError(self._refusal.code(), self._refusal.details())
            self._callers += 1
        try:
            # Held here and not where the call is made, which a dead connection may never leave.
            with self._slots:
                self._run(_Request(method, [*self._headers, *metadata], Body(chunks)))
        finally:
            with self._state:
                self._callers -= 1
                self._state.notify_all()

    def _run(self, request: _Request) -> None:
        call: Future[None] = Future()
        transport = self._transport
        body = request.body
        try:
            self._start(call, request, transport)
            self._wait(call, body, transport)
        except IngestionStreamError:
            if body.error is not None:
                raise body.error from None
            raise
        except BaseException:
            body.stop()
            raise

    def _wait(self, call: Future[None], body: Body, transport: SyncHTTPTransport) -> None:
        while not wait([call], self._stalled_timeout_s - body.stalled_s()).done:
            if body.stalled_s() >= self._stalled_timeout_s:
                body.stop()
                self._leave(transport)
                raise IngestionStreamError(
                    grpc.StatusCode.UNAVAILABLE,
                    f"{self._origin} has not answered for {self._stalled_timeout_s:g} s. Some rows"
                    " may have been taken; to send them again does no harm.",
                )
        call.result()

    def _leave(self, transport: SyncHTTPTransport) -> None:
        """Connect anew from now on: a connection that hangs would hold the next calls, too.

        Other calls that run on the old one end there. It is not closed, because that would not
        end what hangs either.
        """
        with self._state:
            if self._transport is transport and not self._closed:
                self._transport = open_transport(self._target, HTTPVersion.HTTP2)

    def _start(self, call: Future[None], request: _Request, transport: SyncHTTPTransport) -> None:
        """Make a call in another thread, which leaves this one free for Ctrl-C.

        That thread must not keep the program from ending if the server neither reads nor answers,
        as those of a `ThreadPoolExecutor` would.
        """
        try:
            inbox = self._idle.pop()
        except IndexError:
            inbox = SimpleQueue()
            thread = threading.Thread(
                target=self._work, args=(inbox,), name="sift-stream", daemon=True
            )
            try:
                thread.start()
            except RuntimeError:
                # When the program ends none can be started: then the call is made here.
                _settle(call, self._failure_of(request, transport))
                return
        inbox.put((call, request, transport))

    def _work(self, inbox: _Inbox) -> None:
        while (job := inbox.get()) is not None:
            call, request, transport = job
            failure = self._failure_of(request, transport)
            if self._closed:
                inbox.put(None)
            else:
                self._idle.append(inbox)
            _settle(call, failure)
            del job, call, request, transport, failure

    def _failure_of(self, request: _Request, transport: SyncHTTPTransport) -> BaseException | None:
        """Make a call; return what it raised, which is raised where the caller waits."""
        try:
            self._call(request, transport)
        except BaseException as error:  # noqa: BLE001 - as the docstring says
            return error
        return None

    def _call(self, request: _Request, transport: SyncHTTPTransport) -> None:
        body = request.body
        try:
            with SyncClient(transport).stream(
                "POST", f"{self._origin}{request.method}", request.headers, iter(body)
            ) as response:
                for _ in response.content:
                    pass
                # In trailers, or in headers with nothing behind.
                said = (response.headers, response.trailers)
                status, text, details = (
                    next((found for each in said if (found := each.get(name))), None)
                    for name in ("grpc-status", "grpc-message", DETAILS_KEY)
                )
                http_status = response.status
        except ConnectionError as error:
            refused = "certificate" in str(error) and not body.started
            error_class = CertificateRefusedError if refused else IngestionStreamError
            raise error_class(
                grpc.StatusCode.UNAVAILABLE, f"{self._origin} can't be reached: {error}"
            ) from error
        except Exception as error:  # the library documents many, and Rust may raise others
            raise IngestionStreamError(
                grpc.StatusCode.UNAVAILABLE,
                f"the stream to {self._origin}, which must speak HTTP/2, broke off: {error}",
            ) from error
        if status is None:
            code = CODE_OF_HTTP_STATUS.get(http_status, grpc.StatusCode.UNKNOWN)
            raise IngestionStreamError(
                code,
                f"{self._origin} answered HTTP status {http_status} and no gRPC status:"
                " is it a server of the protocol?",
            )
        code = CODES.get(int(status) if status.isdecimal() else -1, grpc.StatusCode.UNKNOWN)
        if code is not grpc.StatusCode.OK:
            raise IngestionStreamError(code, unquote(text or ""), _details_metadata(details))

    def give_up(self, refusal: CertificateRefusedError) -> bool:
        """Refuse every call from now on, for that reason; False if that is so already."""
        with self._state:
            first = self._refusal is None
            self._refusal = refusal
            return first

    def close(self) -> None:
        """Let running calls end, but those that were broken off, and close the connections."""
        if not self._process.is_this:
            return
        with self._state:
            self._closed = True
            self._state.wait_for(lambda: not self._callers)
        while self._idle:
            self._idle.pop().put(None)
        self._transport.close()


def _settle(call: Future[None], failure: BaseException | None) -> None:
    if failure is None:
        call.set_result(None)
    else:
        call.set_exception(failure)


def _details_metadata(encoded: str | None) -> tuple[tuple[str, bytes], ...]:
    """The details of a status, as gRPC's own library gives them; none that can't be decoded."""
    if not encoded:
        return ()
    try:
        # gRPC leaves the padding out.
        return ((DETAILS_KEY, base64.b64decode(encoded + "=" * (-len(encoded) % 4))),)
    except binascii.Error:
        return ()


def open_transport(
    target: ChannelTarget,
    http_version: HTTPVersion,
    read_timeout_s: float | None = None,
) -> SyncHTTPTransport:
    """Make what connects to a server, as gRPC's library would."""
    roots = os.environ.get(_ROOTS_VARIABLE)
    return SyncHTTPTransport(
        http_version=http_version,
        tls_ca_cert=Path(roots).read_bytes() if target.use_tls and roots else None,
        tls_include_system_certs=not roots,
        # Proxies take HTTP/2 in a tunnel, which only TLS gets.
        proxy=None if target.use_tls else _NO_PROXY,
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=read_timeout_s,
        follow_redirects=False,
        enable_otel=False,
    )


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    headers: list[tuple[str, str]]
    body: Body


class Body:
    """The body of a call, which remembers its own error and can be broken off.

    It also knows whose turn it is: the caller's from when a chunk is asked for until it is given,
    and the server's otherwise.

    Attributes:
        started: Whether a chunk was asked for.
        error: What iterating over the chunks raised.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self._stopped = False
        self.started = False
        self.error: BaseException | None = None
        self._given_s: float | None = time.monotonic()
        """When the server's turn began; None while it is the caller's."""

    def __iter__(self) -> Iterator[bytes]:
        try:
            self.started = True
            self._given_s = None
            for chunk in self._chunks:
                self._check()
                self._given_s = time.monotonic()
                yield chunk
                # Who was told that the call is broken off may use the chunks again.
                self._check()
                self._given_s = None
        except GeneratorExit:
            raise
        except BaseException as error:
            self.error = error
            raise
        finally:
            self._given_s = time.monotonic()

    def stalled_s(self) -> float:
        """Seconds for which it has been the server's turn."""
        given_s = self._given_s
        return 0.0 if given_s is None else time.monotonic() - given_s

    def stop(self) -> None:
        """Break the call off: to end the body would end the call as if all were said."""
        self._stopped = True

    def _check(self) -> None:
        if self._stopped:
            raise InterruptedError("the call was broken off")
