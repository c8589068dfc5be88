"""Points as they come, as Arrow, without an end: `POST /arrow/v1/follow`.

The question is a JSON object:

```text
asset_id      the asset; or else
channel_ids   ids of channels
channels      of an asset, names: `*`, `?` and `[...]` stand for what they do in a shell; all if
              left out, those too that come later
run_id        the run; an empty string for what has none; all if left out
from_ns       the earliest time of points that are there, which are given, too; nanoseconds since
              1970 in UTC
marks         the same by run id and channel id, for those that another time than `from_ns` is good
              for: {run_id: {channel_id: nanoseconds}}
```

What was there comes as `POST /arrow/v1/data` has it, and then every point that is acknowledged,
whatever its time, in the order of arrival: none of them is left out, and none is in both. Rows of a
flow and run are a record batch: see `sift_server.follow.pieces`. A caller who reads too slowly is
given what it missed from the store: then a point that came late may be given twice.

An answer begins with a beat, when everything that is acknowledged from then on will be in it, and
there is one behind everything that came from the store.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sift_server.api.arrow.asked import NS_MAX, object_of, text_of, time_of
from sift_server.api.arrow.door import (
    ANSWER_START,
    ArrowStream,
    answer_chunks,
    failure_stream,
    note_stream,
    until_gone,
)
from sift_server.api.grpc_status import code_of
from sift_server.errors import InvalidArgumentError, ServerError, UnavailableError
from sift_server.follow import Backlog, Selection

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from concurrent.futures import Executor

    from sift_server.api.asgi import Receive, Send
    from sift_server.api.key_ring import Grant
    from sift_server.catalog import Catalog
    from sift_server.follow import Feed, Follower, History

BEAT_MS = 5_000
"""How long nothing is said, at the most."""

LOOK_MS = 500
"""How often it is looked whether the key is still good."""

FOLLOWED_NAMES_MAX = 10_000
"""Names and ids of a question."""

_BEAT = note_stream(b"sift.beat", "")
_KNOWN = frozenset({"asset_id", "channel_ids", "channels", "run_id", "from_ns", "marks"})


class FollowQuestion:
    """Answers those who follow. For one event loop."""

    def __init__(self, catalog: Catalog, feed: Feed) -> None:
        """Take what there is."""
        self._catalog = catalog
        self._feed = feed
        self._turn = asyncio.Lock()
        """Held by the one who is read something that it missed: many who are too slow together
        must not take from ingesting what it needs."""

    async def __call__(
        self,
        asked: Any,  # noqa: ANN401 (any JSON)
        grant: Grant,
        receive: Receive,
        send: Send,
        threads: Executor,
        /,
    ) -> None:
        """Answer one of them; see `OpenQuestion`."""
        loop = asyncio.get_running_loop()
        selection, backlog = _read(asked)
        await loop.run_in_executor(threads, self._check, selection)
        something = asyncio.Event()
        follower, history = await loop.run_in_executor(
            threads, self._feed.follow, selection, backlog, lambda: _set(loop, something)
        )
        gone = asyncio.create_task(until_gone(receive))
        gone.add_done_callback(lambda _: something.set())
        try:
            await send(ANSWER_START)
            answer = _Answer(self._feed, follower, grant, send, threads, self._turn)
            try:
                await answer.run(history if backlog else None, something, gone)
            except ServerError as error:
                await answer.say(failure_stream(code_of(error), str(error)))
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._feed.unfollow(follower)
            gone.cancel()

    def _check(self, selection: Selection) -> None:
        """Check that what is named is there."""
        if selection.asset_id is not None:
            self._catalog.assets.get(selection.asset_id)
        if selection.run_id:
            self._catalog.runs.get(selection.run_id)
        known = self._catalog.channels.with_ids(selection.channel_ids)
        for channel_id in sorted(selection.channel_ids - known.keys())[:1]:
            self._catalog.channels.get(channel_id)  # says that it is not there


class _Answer:
    """What one caller is sent."""

    def __init__(
        self,
        feed: Feed,
        follower: Follower,
        grant: Grant,
        send: Send,
        threads: Executor,
        turn: asyncio.Lock,
    ) -> None:
        self._feed = feed
        self._follower = follower
        self._grant = grant
        self._send = send
        self._threads = threads
        self._turn = turn
        self._loop = asyncio.get_running_loop()
        self._beat_due_s = 0.0

    async def run(
        self, history: History | None, something: asyncio.Event, gone: asyncio.Task[None]
    ) -> None:
        """Send what was there, if that is wanted, and what comes until the caller is gone.

        Raises:
            ServerError: Why there is nothing more.
        """
        follower = self._follower
        await self.say(_BEAT)
        if history is not None:
            await self._put_all(history, self._made, gone)
            del history
        while not gone.done():
            something.clear()
            self._grant.check()
            if chunk := follower.take():
                await self._put(chunk)
            elif follower.failure is not None:
                raise UnavailableError(follower.failure)
            elif follower.is_behind:
                missed = await self._on_thread(self._feed.missed, follower)
                await self._put_all(missed, self._made_in_turn, gone)
            elif self._loop.time() >= self._beat_due_s:
                await self.say(_BEAT)
            else:
                with suppress(TimeoutError):
                    await asyncio.wait_for(something.wait(), LOOK_MS / 1_000)

    async def say(self, stream: bytes) -> None:
        """Send a whole stream."""
        await self._put(self._follower.end_of_stream() + stream)

    async def _put_all(
        self,
        history: History,
        made: Callable[[Iterator[bytes]], Awaitable[bytes | None]],
        gone: asyncio.Task[None],
    ) -> None:
        """Send what is stored, and a beat behind it."""
        await self._put(self._follower.end_of_stream())
        streams = (ArrowStream(schema, batches) for schema, batches in history.streams())
        chunks = answer_chunks(streams)
        try:
            while not gone.done() and (chunk := await made(chunks)):
                self._grant.check()
                await self._put(chunk)
        finally:
            await self._on_thread(chunks.close)
        await self.say(_BEAT)

    async def _made(self, chunks: Iterator[bytes]) -> bytes | None:
        """The next chunk, made on a thread; None if there is none."""
        chunk: bytes | None = await self._on_thread(next, chunks, None)
        return chunk

    async def _made_in_turn(self, chunks: Iterator[bytes]) -> bytes | None:
        """The same, one after the other of all who missed something; half of the time at most."""
        async with self._turn:
            began_s = self._loop.time()
            chunk = await self._made(chunks)
            await asyncio.sleep(self._loop.time() - began_s)
        return chunk

    async def _on_thread(self, function: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401
        return await self._loop.run_in_executor(self._threads, function, *arguments)

    async def _put(self, chunk: bytes) -> None:
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        self._beat_due_s = self._loop.time() + BEAT_MS / 1_000


def _set(loop: asyncio.AbstractEventLoop, something: asyncio.Event) -> None:
    """Wake an answer, from any thread."""
    if not something.is_set():
        with suppress(RuntimeError):  # The loop is closed: the server has stopped.
            loop.call_soon_threadsafe(something.set)


def _read(asked: Any) -> tuple[Selection, Backlog]:  # noqa: ANN401
    """What a question is about.

    Raises:
        InvalidArgumentError: It is none.
    """
    asked = object_of(asked, _KNOWN)
    asset_id = text_of(asked, "asset_id")
    ids = _texts(asked, "channel_ids")
    names = _texts(asked, "channels")
    if (asset_id is None) == (ids is None):
        raise InvalidArgumentError("name either asset_id or channel_ids")
    if asset_id is None and names is not None:
        raise InvalidArgumentError("channels are names, of an asset: name asset_id, too")
    selection = Selection(
        asset_id,
        ("*",) if names is None else tuple(names),
        frozenset(ids or ()),
        text_of(asked, "run_id"),
    )
    backlog = Backlog()
    if "from_ns" in asked:
        backlog.rest = time_of(asked["from_ns"], "from_ns"), NS_MAX
    marks = asked.get("marks", {})
    if not isinstance(marks, dict) or not all(isinstance(each, dict) for each in marks.values()):
        raise InvalidArgumentError("marks is an object of run ids, each with one of channel ids")
    for run_id, by_channel in marks.items():
        for channel_id, mark in by_channel.items():
            backlog.parts[run_id, channel_id] = time_of(mark, "marks"), NS_MAX
    return selection, backlog


def _texts(asked: dict[str, Any], key: str) -> list[str] | None:
    texts = asked.get(key)
    if texts is None:
        return None
    if not isinstance(texts, list) or not all(isinstance(each, str) for each in texts):
        raise InvalidArgumentError(f"{key} is a list of strings")
    if not 0 < len(texts) <= FOLLOWED_NAMES_MAX:
        raise InvalidArgumentError(
            f"{key} has {len(texts):,} entries, but may have from 1 to FOLLOWED_NAMES_MAX ="
            f" {FOLLOWED_NAMES_MAX:,}"
        )
    return texts
