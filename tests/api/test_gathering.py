"""Streams that send little, taken together."""

from __future__ import annotations

import asyncio
import struct
import time
import uuid
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from sift_server.api.gathering import MANY_WAIT_MS, OPEN_WAIT_MS
from sift_server.api.ingest_stream import IngestStream
from sift_server.ingest import AcknowledgedKeys, IngestLimits, Taken
from sift_server.log import LogFailedError
from sift_wire.decode import NotAtOnceError
from sift_wire.messages import frame
from sift_wire.rejection import Cause, RejectedMessage

UNKNOWN, MISFIT = b"a flow that is not remembered", b"a misfit that ends its stream"


class Ingestor:
    """Remembers what was taken, and answers as the real one does."""

    def __init__(self) -> None:
        self.limits = IngestLimits()
        self.records: list[list[bytes]] = []
        self.at_once: list[bool] = []
        self.keys: Any = AcknowledgedKeys()
        self.carried: list[Any] = []
        self.has_room = True
        self.lands_at_once = True
        self.on_the_way: list[Future[int]] = []
        self.error: Exception | None = None

    def takes_at_once(self, frames_bytes: int) -> bool:
        return self.has_room and frames_bytes <= self.limits.at_once_bytes_max

    def take(self, frames: Any, *, at_once: bool = False, keys: Any = ()) -> Taken:
        messages = [frames.message(index) for index in range(len(frames))]
        if at_once and UNKNOWN in messages:
            raise NotAtOnceError
        if self.error is not None:
            raise self.error
        refusal = None
        if MISFIT in messages:
            index = messages.index(MISFIT)
            refusal = RejectedMessage(
                index, "", "", "", None, Cause.WRONG_TYPE, "it does not fit", ends_stream=True
            )
            messages = messages[:index]
        self.at_once.append(at_once)
        self.carried.append(keys)
        self.keys.add(keys)
        if not messages:
            return Taken(None, refusal)
        self.records.append(messages)
        durable: Future[int] = Future()
        self.on_the_way.append(durable)
        if self.lands_at_once:
            durable.set_result(len(self.records))
        return Taken(durable, refusal)


class Call:
    """A call of the ingest stream whose client sends what a test says."""

    def __init__(
        self,
        stream: IngestStream,
        *chunks: bytes,
        is_open: bool = False,
        client: int = 0,
        key: str | None = None,
    ) -> None:
        headers = [] if key is None else [(b"sift-idempotency-key", key.encode())]
        self._chunks = deque(chunks)
        self._is_open = is_open
        self._is_gone = False
        self._sent = asyncio.Event()
        self.answer: dict[bytes, bytes] | None = None
        self.task = asyncio.ensure_future(
            stream({"headers": headers, "client": ("host", client)}, self._receive, self._answered)
        )

    def send(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._sent.set()

    def end(self) -> None:
        self._is_open = False
        self._sent.set()

    def leave(self) -> None:
        self._is_gone = True
        self._sent.set()

    async def status(self) -> bytes:
        await asyncio.wait_for(self.task, 10)
        assert self.answer is not None
        return self.answer[b"grpc-status"]

    async def _receive(self) -> dict[str, Any]:
        while self._is_open and not self._chunks and not self._is_gone:
            self._sent.clear()
            await self._sent.wait()
        if self._is_gone and not self._chunks:
            return {"type": "http.disconnect"}
        body = self._chunks.popleft() if self._chunks else b""
        is_last = not self._is_open and not self._chunks
        return {"type": "http.request", "body": body, "more_body": not is_last}

    async def _answered(self, event: dict[str, Any]) -> None:
        if event["type"] == "http.response.trailers":
            self.answer = dict(event["headers"])


@pytest.fixture
def ingestor() -> Ingestor:
    return Ingestor()


def with_stream(ingestor: Ingestor, story: Any) -> None:
    """Run a story with an ingest stream that has threads."""

    async def run() -> None:
        with ThreadPoolExecutor(2) as threads:
            await story(IngestStream(ingestor, threads))

    asyncio.run(run())


def test_what_comes_at_once_is_one_record(ingestor: Ingestor):
    """Messages of a stream stay in their order, however they are cut."""

    async def story(stream: IngestStream) -> None:
        body = frame(b"b1") + frame(b"b2") + frame(b"")
        calls = [Call(stream, frame(b"a")), Call(stream, body), Call(stream, frame(b"c"))]
        assert [await call.status() for call in calls] == [b"0"] * 3

    with_stream(ingestor, story)
    assert ingestor.records == [[b"a", b"b1", b"b2", b"", b"c"]]


def test_what_would_be_too_much_at_once_is_taken_in_parts(ingestor: Ingestor):
    """And not by a thread for each stream."""

    async def story(stream: IngestStream) -> None:
        calls = [Call(stream, frame(bytes(1_100))) for _ in range(100)]
        assert [await call.status() for call in calls] == [b"0"] * 100

    with_stream(ingestor, story)
    assert sum(map(len, ingestor.records)) == 100
    assert len(ingestor.records) <= 10
    assert all(ingestor.at_once)


@pytest.mark.parametrize("before", [[], [b""], [b"fits", b""]])
def test_a_misfit_ends_its_own_stream_only(ingestor: Ingestor, before: list[bytes]):
    """What others sent, before and behind it, is taken; what its stream sent behind it is not."""

    async def story(stream: IngestStream) -> None:
        body = b"".join(map(frame, [*before, MISFIT, b"behind it"]))
        bodies = [frame(b"first"), body, frame(b"") + frame(b"last"), body, body]
        calls = [Call(stream, body) for body in bodies]
        statuses = [await call.status() for call in calls]
        assert statuses == [b"0", b"3", b"0", b"3", b"3"]

    with_stream(ingestor, story)
    taken = [message for record in ingestor.records for message in record]
    assert taken == [b"first", *before, b"", b"last", *before, *before]


def test_nothing_is_taken_of_a_stream_behind_a_misfit(ingestor: Ingestor):
    """Not even what it sends before it hears of it."""

    async def story(stream: IngestStream) -> None:
        call = Call(stream, frame(MISFIT), is_open=True)
        for _ in range(1_000):
            call.send(frame(b"behind it"))
        assert await call.status() == b"3"

    with_stream(ingestor, story)
    assert not ingestor.records


def test_a_flow_that_is_not_remembered_goes_to_a_thread(ingestor: Ingestor):
    """The others don't wait for the catalog."""

    async def story(stream: IngestStream) -> None:
        bodies = [frame(b"a"), frame(UNKNOWN) + frame(b"x"), frame(b"b")]
        calls = [Call(stream, body) for body in bodies]
        assert [await call.status() for call in calls] == [b"0"] * 3

    with_stream(ingestor, story)
    assert sorted(ingestor.records) == [[b"a"], [UNKNOWN, b"x"], [b"b"]]
    assert sorted(ingestor.at_once) == [False, True, True]


def test_keys_go_with_what_is_gathered(ingestor: Ingestor):
    """Of streams that are whole in one record; others' are remembered when they are durable."""
    keys = [str(uuid.uuid4()) for _ in range(3)]

    async def story(stream: IngestStream) -> None:
        calls = [Call(stream, frame(b"a"), key=key) for key in keys[:2]]
        calls.append(Call(stream, frame(b"b"), key=keys[2], is_open=True))
        await asyncio.sleep(0.1)
        calls[2].send(frame(b"c"))
        calls[2].end()
        assert [await call.status() for call in calls] == [b"0"] * 3
        again = Call(stream, frame(b"d"), key=keys[2])
        assert await again.status() == b"0"

    with_stream(ingestor, story)
    assert ingestor.records == [[b"a", b"a", b"b"], [b"c"]]
    assert ingestor.carried == [[uuid.UUID(key).bytes for key in keys[:2]], []]
    assert ingestor.keys.take_riding() == [uuid.UUID(keys[2]).bytes]


def test_a_client_that_leaves_has_no_key(ingestor: Ingestor):
    """What it sent is taken, and its retry is as well."""
    key = str(uuid.uuid4())

    async def story(stream: IngestStream) -> None:
        call = Call(stream, frame(b"a"), key=key, is_open=True)
        call.leave()
        await asyncio.wait_for(call.task, 10)
        assert await Call(stream, frame(b"a"), frame(b"b"), key=key).status() == b"0"

    with_stream(ingestor, story)
    messages = [message for record in ingestor.records for message in record]
    assert messages[-2:] == [b"a", b"b"]


def test_a_full_server_lets_streams_wait_on_threads(ingestor: Ingestor):
    """The event loop itself never waits."""
    ingestor.has_room = False

    async def story(stream: IngestStream) -> None:
        calls = [Call(stream, frame(b"a")) for _ in range(3)]
        assert [await call.status() for call in calls] == [b"0"] * 3

    with_stream(ingestor, story)
    assert ingestor.at_once == [False] * 3


def test_no_answer_before_it_is_durable(ingestor: Ingestor):
    """Gathered or not, OK means: on disk."""
    ingestor.lands_at_once = False

    async def story(stream: IngestStream) -> None:
        ended = Call(stream, frame(b"a"))
        opened = Call(stream, frame(b"b"), is_open=True)
        await asyncio.sleep(0.1)
        opened.end()
        await asyncio.sleep(0.1)
        assert ended.answer is None
        assert opened.answer is None
        for durable in ingestor.on_the_way:
            durable.set_result(1)
        assert await ended.status() == b"0"
        assert await opened.status() == b"0"

    with_stream(ingestor, story)


@pytest.mark.parametrize("when", ["appending", "syncing"])
def test_a_log_that_fails_fails_all_that_was_gathered(ingestor: Ingestor, when: str):
    """They keep their data and try again."""
    ingestor.lands_at_once = False
    if when == "appending":
        ingestor.error = LogFailedError("no disk")

    async def story(stream: IngestStream) -> None:
        calls = [Call(stream, frame(b"a")), Call(stream, frame(b"b"), is_open=True)]
        await asyncio.sleep(0.05)
        for durable in ingestor.on_the_way:
            durable.set_exception(LogFailedError("no disk"))
        calls[1].end()
        assert [await call.status() for call in calls] == [b"14"] * 2

    with_stream(ingestor, story)


def test_open_streams_wait_a_moment_and_lone_ones_do_not(ingestor: Ingestor):
    """Nobody waits for messages of a stream that goes on, yet they become readable soon."""

    async def story(stream: IngestStream) -> None:
        calls = [Call(stream, frame(b"a"), is_open=True) for _ in range(3)]
        for call in calls[1:]:
            await asyncio.sleep(0)
            call.send(frame(b"b"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not ingestor.records
        await asyncio.sleep(OPEN_WAIT_MS / 1_000 + 0.1)
        assert [len(record) for record in ingestor.records] == [5]
        calls[0].send(frame(b"last"))
        calls[0].end()
        assert await calls[0].status() == b"0"
        for call in calls[1:]:
            call.end()
            assert await call.status() == b"0"

    with_stream(ingestor, story)


def test_a_bad_prefix_ends_its_own_stream_only(ingestor: Ingestor):
    """And so does half a message."""

    async def story(stream: IngestStream) -> None:
        bad, half = frame(b"a") + struct.pack(">BI", 7, 0), frame(b"half")[:-1]
        calls = [Call(stream, body) for body in (bad, frame(b"good"), half)]
        assert [await call.status() for call in calls] == [b"3", b"0", b"3"]

    with_stream(ingestor, story)
    assert ingestor.records == [[b"good"]]


def test_a_stream_that_grows_goes_to_a_thread_in_order(ingestor: Ingestor):
    """Small chunks, large ones, and what was cut in two."""
    messages = [b"%d" % number * size for number, size in enumerate([1, 9_000, 3, 9_000, 2])]
    body = b"".join(map(frame, messages))

    async def story(stream: IngestStream) -> None:
        call = Call(stream, is_open=True)
        for at in range(0, len(body), 700):
            call.send(body[at : at + 700])
            if at % 2_100 == 0:
                await asyncio.sleep(0.003)
        call.end()
        assert await call.status() == b"0"

    with_stream(ingestor, story)
    assert [message for record in ingestor.records for message in record] == messages


@pytest.mark.parametrize(("clients", "part"), [(50, 0.3), (4, 1.0)])
def test_streams_of_many_clients_are_few_records(ingestor: Ingestor, clients: int, part: float):
    """Each comes alone, while others do; a few clients, however fast, don't wait for each other."""
    calls_max, now_s = 300, 1_000.0

    async def story(stream: IngestStream) -> None:
        nonlocal now_s
        asyncio.get_running_loop().time = lambda: now_s  # type: ignore[method-assign]
        calls: list[Call] = []
        while len(calls) < calls_max or not all(call.task.done() for call in calls):
            if len(calls) < calls_max:
                calls.append(Call(stream, frame(b"a"), client=len(calls) % clients))
            for _ in range(10):
                # A call is through in fewer turns of the loop, if it does not wait.
                await asyncio.sleep(0)
            now_s += 0.0005
        assert {call.answer[b"grpc-status"] for call in calls if call.answer} == {b"0"}

    with_stream(ingestor, story)
    assert sum(map(len, ingestor.records)) == calls_max
    assert len(ingestor.records) == pytest.approx(part * calls_max, abs=0.1 * calls_max)


def test_a_client_that_sends_one_stream_after_the_other_never_waits(ingestor: Ingestor):
    """It has to hear of each of them first."""

    async def story(stream: IngestStream) -> None:
        start = time.perf_counter()
        for _ in range(200):
            assert await Call(stream, frame(b"a")).status() == b"0"
        assert time.perf_counter() - start < 200 * MANY_WAIT_MS / 1_000

    with_stream(ingestor, story)
    assert len(ingestor.records) == 200
