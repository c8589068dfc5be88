"""Frames come out of chunks as they went in, however the chunks were cut."""

from __future__ import annotations

import gzip
import itertools
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sift_wire import kernels
from sift_wire.frames import (
    INFLATED_BYTES_MAX,
    FrameCompressionError,
    FrameCutOffError,
    FrameError,
    FrameReader,
    Frames,
    FrameTooLargeError,
    gunzip,
)
from sift_wire.messages import frame

LIMIT = 1000


def inflate(data: bytes) -> bytes:
    return gunzip(data, LIMIT)


def read(reader: FrameReader, body: bytes, cuts: list[int]) -> list[bytes]:
    messages = []
    places = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    for first, last in itertools.pairwise(places):
        frames = reader.feed(body[first:last])
        if frames is not None:
            assert len(frames) > 0
            assert Frames.from_payload(frames.payload()).payload() == frames.payload()
            messages += [frames.message(i) for i in range(len(frames))]
    reader.finish()
    return messages


@given(st.lists(st.binary(max_size=50)), st.lists(st.integers(0, 10_000)))
def test_chunks_may_be_cut_anywhere(messages: list[bytes], cuts: list[int]):
    """The same messages, for every way to cut the body."""
    assert read(FrameReader(LIMIT), b"".join(map(frame, messages)), cuts) == messages


@given(st.lists(st.binary(max_size=600)), st.lists(st.integers(0, 10_000)))
def test_cutting_is_feeding(messages: list[bytes], cuts: list[int]):
    """What is cut is what is fed, as it came."""
    body = b"".join(map(frame, messages))
    fed, cutting = FrameReader(LIMIT), FrameReader(LIMIT)
    places = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    for first, last in itertools.pairwise(places):
        frames = fed.feed(body[first:last])
        assert cutting.cut(body[first:last]) == (frames.payload() if frames is not None else b"")
        assert cutting.unfinished_bytes == fed.unfinished_bytes
    cutting.finish()


@given(st.lists(st.tuples(st.binary(max_size=50), st.booleans())), st.lists(st.integers(0, 10_000)))
def test_compressed_messages_are_inflated(messages: list[tuple[bytes, bool]], cuts: list[int]):
    """Compressed and plain messages may be mixed; what comes out is plain."""
    body = b"".join(
        struct.pack(">BI", 1, len(packed := gzip.compress(message))) + packed
        if compressed
        else frame(message)
        for message, compressed in messages
    )
    assert read(FrameReader(LIMIT, inflate), body, cuts) == [message for message, _ in messages]


@given(st.lists(st.binary(max_size=20), min_size=1), st.data())
def test_a_selection_is_frames_again(messages: list[bytes], data: st.DataObject):
    """Part of some frames is frames of their own."""
    first = data.draw(st.integers(0, len(messages)))
    last = data.draw(st.integers(first, len(messages)))
    part = Frames.from_messages(messages).select(first, last)
    again = Frames.from_payload(part.payload())
    assert [again.message(i) for i in range(len(again))] == messages[first:last]
    assert [part.message(i) for i in range(len(part))] == messages[first:last]


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        (struct.pack(">BI", 0, LIMIT + 1), FrameTooLargeError, "at most 1000"),
        (b"\x07\0\0\0\0", FrameError, "the byte 7"),
        (struct.pack(">BI", 1, 3) + b"abc", FrameCompressionError, "grpc-encoding"),
    ],
)
@pytest.mark.parametrize("good_bytes", [4, 900])
def test_a_bad_prefix_is_explained(
    body: bytes, error: type[FrameError], words: str, good_bytes: int
):
    """What is not a frame gets a sentence, also behind good ones."""
    good = frame(b"x" * good_bytes) * 2
    with pytest.raises(error, match=words):
        FrameReader(LIMIT).feed(good + body)
    with pytest.raises(error, match=words):
        FrameReader(LIMIT).cut(good + body)


def test_a_body_that_ends_in_a_frame_is_cut_off():
    """Half a message is no message."""
    reader = FrameReader(LIMIT)
    assert reader.feed(frame(b"whole") + frame(b"half")[:-1]) is not None
    with pytest.raises(FrameCutOffError, match="8 bytes"):
        reader.finish()


@pytest.mark.parametrize(
    ("data", "error"),
    [
        pytest.param(gzip.compress(b"\0" * 10_000_000), FrameTooLargeError, id="a bomb"),
        pytest.param(gzip.compress(b"some text")[:-9], FrameCompressionError, id="cut off"),
        pytest.param(b"no gzip at all", FrameCompressionError, id="not gzip"),
    ],
)
def test_inflating_has_a_limit(data: bytes, error: type[FrameError]):
    """A small message that inflates to a huge one is refused before it fills the memory."""
    with pytest.raises(error):
        gunzip(data, LIMIT)


@given(st.lists(st.binary(max_size=50)), st.binary(max_size=10), st.integers(0, 60))
def test_the_plain_python_run_agrees(messages: list[bytes], rest: bytes, limit: int):
    """Whatever follows whole frames, and whatever the limit."""
    data = np.frombuffer(b"".join(map(frame, messages)) + rest, np.uint8)
    count, n_bytes, is_bad = kernels.count_frames(data, limit)
    assert kernels.count_frames.py_func(data, limit) == (count, n_bytes, is_bad)
    compiled, plain = np.zeros((2, 2, count), np.int64)
    kernels.split_frames(data, *compiled)
    kernels.split_frames.py_func(data, *plain)
    assert plain.tolist() == compiled.tolist()
    if limit >= 50:
        assert count >= len(messages)


def test_compressed_messages_are_inflated_a_part_at_a_time():
    """A small body may hold gigabytes."""
    message = b"x" * (INFLATED_BYTES_MAX // 2)
    body = b"".join(
        b"\1" + len(data).to_bytes(4, "big") + data for data in [gzip.compress(message)] * 7
    )
    reader = FrameReader(len(message), lambda data: gunzip(data, len(message)))
    counts = []
    frames = reader.feed(body)
    while frames is not None:
        counts.append(len(frames))
        assert {frames.message(index) for index in range(len(frames))} == {message}
        frames = reader.feed()
    reader.finish()
    assert counts == [2, 2, 2, 1]
