"""Long answers over HTTP, read as they come."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import grpc
from pyqwest import HTTPVersion, SyncClient

from sift_py._internal.process import OwnProcess
from sift_py.errors import DataReadError
from sift_py.grpc._http import CODE_OF_HTTP_STATUS, CODES, open_transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import Buffer

    from sift_py.grpc._interceptors import Metadata
    from sift_py.grpc._target import ChannelTarget

READ_TIMEOUT_S = 120.0
"""An answer is broken off when the server said nothing for so long."""

_OK = 200


class HttpAnswers:
    """Questions in JSON to one server, and their answers. Safe from many threads.

    HTTP/1.1: its answers cost a quarter of HTTP/2's frames, and each has a connection of its own.
    """

    def __init__(self, target: ChannelTarget, metadata: Metadata) -> None:
        scheme = "https" if target.use_tls else "http"
        self._origin = f"{scheme}://{target.authority}"
        self._headers = [("content-type", "application/json"), *metadata]
        self._transport = open_transport(target, HTTPVersion.HTTP1, READ_TIMEOUT_S)
        self._process = OwnProcess("the channel")

    @contextmanager
    def ask(self, path: str, question: object) -> Iterator[Answer]:
        """POST a question; gives its answer, which is broken off at the end of the with-block.

        Raises:
            DataReadError: The server can't be reached, or its answer is a refusal. `UNIMPLEMENTED`
                if it does not know the path.
        """
        self._process.check()
        body = json.dumps(question).encode()
        try:
            stream = SyncClient(self._transport).stream(
                "POST", f"{self._origin}{path}", self._headers, body
            )
            response = stream.__enter__()
        except Exception as error:  # the library documents many
            raise DataReadError(
                grpc.StatusCode.UNAVAILABLE, f"{self._origin} can't be reached: {error}"
            ) from error
        try:
            if response.status != _OK:
                raise _refusal(response.status, b"".join(response.content))
            yield Answer(self._origin, iter(response.content), response.close)
        finally:
            stream.__exit__(None, None, None)

    def close(self) -> None:
        """Close the connections."""
        if self._process.is_this:
            self._transport.close()


class Answer:
    """The bytes of an answer, as a file that is read from its beginning. For one thread."""

    def __init__(
        self, origin: str, chunks: Iterator[Buffer], break_off: Callable[[], None]
    ) -> None:
        self._origin = origin
        self._chunks = chunks
        self.break_off = break_off
        """Ends it, from any thread: who reads it is told that it broke off."""
        self._chunk = memoryview(b"")
        self.closed = False
        self.n_bytes = 0
        """Bytes that came so far."""

    def read(self, size: int) -> bytes:
        """Read as many bytes; fewer only at the end.

        Raises:
            DataReadError: The server, or the connection, broke off.
        """
        if size <= len(self._chunk):
            taken, self._chunk = self._chunk[:size], self._chunk[size:]
            return bytes(taken)
        parts = [self._chunk]
        missing = size - len(self._chunk)
        self._chunk = memoryview(b"")
        while missing and self._fill():
            part = self._chunk[:missing]
            self._chunk = self._chunk[missing:]
            missing -= len(part)
            parts.append(part)
        return b"".join(parts)

    @property
    def is_at_end(self) -> bool:
        """Whether there is nothing more; waits until that is known."""
        return not len(self._chunk) and not self._fill()

    def close(self) -> None:
        """Do nothing: the with-block of `ask` ends the answer."""

    def _fill(self) -> bool:
        """Receive a chunk, if there is one."""
        while not len(self._chunk):
            try:
                chunk = next(self._chunks, None)
            except Exception as error:  # the library documents many
                raise DataReadError(
                    grpc.StatusCode.UNAVAILABLE,
                    f"{self._origin} broke off in the middle of an answer: {error}. Read it again",
                ) from error
            if chunk is None:
                return False
            self._chunk = memoryview(chunk)
            self.n_bytes += self._chunk.nbytes
        return True


def _refusal(status: int, body: bytes) -> DataReadError:
    try:
        said: Any = json.loads(body)
        return status_error(said)
    except (ValueError, KeyError, TypeError):
        code = CODE_OF_HTTP_STATUS.get(status, grpc.StatusCode.UNKNOWN)
        return DataReadError(code, f"the server answered HTTP status {status}")


def status_error(said: dict[str, Any]) -> DataReadError:
    """The error of a JSON status: `code`, a number of gRPC's, and `message`."""
    code = CODES.get(said["code"], grpc.StatusCode.UNKNOWN)
    return DataReadError(code, str(said["message"]))
