"""Answers questions by Arrow streams, as fast as the caller reads and no faster."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import pyarrow as pa

from sift_server.api.access import require_scope
from sift_server.api.asgi import send_body
from sift_server.api.auth import grant_of
from sift_server.api.grpc_status import HTTP_STATUS, GrpcCode, code_of
from sift_server.api.request_body import read_body
from sift_server.catalog import Scope as KeyScope
from sift_server.errors import (
    InvalidArgumentError,
    ResourceExhaustedError,
    ServerError,
    UnimplementedError,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping
    from concurrent.futures import Executor

    from sift_server.api.asgi import Receive, Scope, Send
    from sift_server.api.key_ring import Grant
    from sift_server.api.request_bytes import RequestBytes

PREFIX = "/arrow/v1/"
CONTENT_TYPE = "application/vnd.apache.arrow.stream"

ANSWERS_MAX = 64
"""Answers that are under way at a time: each holds a few windows of points."""

ANSWER_THREADS = 4
"""Threads that read what is answered, largely without the GIL: more than cores help little."""

CHUNK_BYTES_MIN = 64 * 1024
"""What is smaller is sent together with what comes next, if that is there at once."""

BATCH_BYTES = 512 * 1024
"""Record batches that are larger are cut, about: so much of each answer waits for its caller, and
as much again is made meanwhile. `ANSWERS_MAX` callers who do not read stay below what may wait."""

ANSWER_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", CONTENT_TYPE.encode())],
}

_ERROR_KEY = b"sift.error"

_logger = logging.getLogger(__name__)


class ArrowStream(NamedTuple):
    """One stream of an answer.

    Attributes:
        schema: Arrow schema of the batches.
        batches: Record batches; made when they are asked for.
    """

    schema: Any
    batches: Iterator[Any]


class Question(Protocol):
    """What answers a kind of question."""

    def __call__(self, asked: Any, /) -> Iterator[ArrowStream]:  # noqa: ANN401 (any JSON)
        """Answer the JSON of a request. Called, and iterated over, on a thread of the door's.

        Raises:
            ServerError: This is the status of the answer, if nothing of it was sent yet.
        """


class OpenQuestion(Protocol):
    """What answers a kind of question whose answer has no end of its own."""

    async def __call__(
        self,
        asked: Any,  # noqa: ANN401 (any JSON)
        grant: Grant,
        receive: Receive,
        send: Send,
        threads: Executor,
        /,
    ) -> None:
        """Answer the JSON of a request on the event loop, until the caller goes away.

        Raises:
            ServerError: This is the status of the answer; only before anything of it was sent.
        """


class Questions(NamedTuple):
    """What a door answers.

    Attributes:
        threads: Where it is answered.
        by_name: What answers, by the part of the path behind `PREFIX`.
        open_by_name: The same, of answers without an end.
    """

    threads: Executor
    by_name: Mapping[str, Question]
    open_by_name: Mapping[str, OpenQuestion] = MappingProxyType({})


class ArrowDoor:
    """The ASGI app of the door. For one event loop."""

    def __init__(self, questions: Questions, request_bytes: RequestBytes) -> None:
        self._questions = questions.by_name
        self._open_questions = questions.open_by_name
        self._threads = questions.threads
        self._request_bytes = request_bytes
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            name = self._name(scope)
            with self._request_bytes.counted(ResourceExhaustedError) as held:
                asked = _parsed(await read_body(held.receiving(receive)))
            if name in self._open_questions:
                answer = self._open_questions[name]
                await answer(asked, grant_of(scope), receive, send, self._threads)
                return
            if self._under_way >= ANSWERS_MAX:
                raise ResourceExhaustedError(
                    f"the server gives ANSWERS_MAX = {ANSWERS_MAX} answers of Arrow at a time,"
                    " which is the limit; try again when others are done"
                )
        except ServerError as error:
            await _refuse(send, code_of(error), str(error))
            return
        self._under_way += 1
        try:
            await self._answer(self._questions[name], asked, receive, send)
        finally:
            self._under_way -= 1

    def _name(self, scope: Scope) -> str:
        """Which question is asked, by somebody who may."""
        name: str = scope["path"].removeprefix(PREFIX)
        names = [*self._questions, *self._open_questions]
        if name not in names or scope["method"] != "POST":
            known = ", ".join(f"POST {PREFIX}{each}" for each in names)
            raise UnimplementedError(
                f"{scope['method']} {scope['path']} is none of the questions: {known}"
            )
        require_scope(grant_of(scope), KeyScope.READ, f"{PREFIX}{name}")
        return name

    async def _answer(self, question: Question, asked: Any, receive: Receive, send: Send) -> None:  # noqa: ANN401
        """Make the next chunk while one is on its way, until it is all there or nobody listens."""
        loop = asyncio.get_running_loop()
        chunks = answer_chunks(question(asked))
        gone = asyncio.create_task(until_gone(receive))
        waiting: asyncio.Future[bytes | None] = loop.run_in_executor(
            self._threads, next, chunks, None
        )
        try:
            try:
                chunk = await waiting
            except ServerError as error:
                await _refuse(send, code_of(error), str(error))
                return
            await send(ANSWER_START)
            while chunk is not None and not gone.done():
                waiting = loop.run_in_executor(self._threads, next, chunks, None)
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                chunk = await waiting
            await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()
            with suppress(Exception):
                await waiting
            await loop.run_in_executor(self._threads, chunks.close)


async def until_gone(receive: Receive) -> None:
    """Wait until the caller is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def answer_chunks(streams: Iterable[ArrowStream]) -> Generator[bytes]:
    """The bytes of an answer; an error in the middle of it becomes its last stream."""
    is_begun = False
    sink = _Sink()
    try:
        for schema, batches in streams:
            with pa.ipc.new_stream(sink.file, schema) as writer:
                for batch in batches:
                    for part in _cut(batch):
                        writer.write_batch(part)
                        if sink.size >= CHUNK_BYTES_MIN:
                            is_begun = True
                            yield sink.take()
        is_begun = True
        yield sink.take()
    except GeneratorExit:
        raise
    except Exception as error:
        if not is_begun:
            raise
        if not isinstance(error, ServerError):
            _logger.exception("an answer of Arrow failed in the middle of it")
        code, message = GrpcCode.INTERNAL, "the answer failed inside the server; its log says why"
        if isinstance(error, ServerError):
            code, message = code_of(error), str(error)
        yield sink.take() + failure_stream(code, message)


def _cut(batch: Any) -> Iterator[Any]:  # noqa: ANN401 (pyarrow has no types)
    """A record batch in parts of about `BATCH_BYTES`, of a row at the least."""
    n_parts = -(-batch.nbytes // BATCH_BYTES) or 1
    n_rows = -(-batch.num_rows // n_parts) or 1
    for first in range(0, max(batch.num_rows, 1), n_rows):
        yield batch.slice(first, n_rows)


class _Sink:
    """Takes what a writer of Arrow writes, until somebody takes it."""

    def __init__(self) -> None:
        self.file = pa.PythonFile(self, mode="w")
        self.closed = False
        self.size = 0
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        """Take some more."""
        self._parts.append(data)
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: `take` is what passes it on."""

    def close(self) -> None:
        """Do nothing: there may be another stream."""

    def take(self) -> bytes:
        """Return what was written since the last time."""
        parts, self._parts, self.size = self._parts, [], 0
        return b"".join(parts)


def failure_stream(code: GrpcCode, message: str) -> bytes:
    """A stream that says why there is no more."""
    return note_stream(_ERROR_KEY, json.dumps({"code": int(code), "message": message}))


def note_stream(key: bytes, text: str) -> bytes:
    """A stream without columns, whose schema has some metadata."""
    sink = _Sink()
    with pa.ipc.new_stream(sink.file, pa.schema([], metadata={key: text.encode()})):
        pass
    return sink.take()


def _parsed(body: bytes) -> Any:  # noqa: ANN401
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"the body is not JSON: {error}") from None


async def _refuse(send: Send, code: GrpcCode, message: str) -> None:
    body = json.dumps({"code": int(code), "message": message}).encode()
    await send_body(send, HTTP_STATUS[code], "application/json", body)
