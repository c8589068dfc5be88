"""The target that decodes: frames and messages, by the kernels as plain Python.

An input is messages with a byte before each that says how long it is; what is missing of the last
is left out. The same bytes are also taken for the body of a call, which comes in pieces of as many
bytes as the first one says.
"""

from __future__ import annotations

from itertools import accumulate

import numpy as np

from fuzz.checks import (
    INDEX,
    assert_as_the_library,
    assert_surroundings_do_not_matter,
    assert_the_small_kernels_agree,
    decode_all,
)
from sift_wire.decode import decode
from sift_wire.frames import (
    FrameCompressionError,
    FrameCutOffError,
    FrameError,
    FrameReader,
    Frames,
    FrameTooLargeError,
)

_GAP_BYTES = 24
"""What lies between two messages; more than any kernel reads at a time."""

_GAPS = (b"\x80\x01\x22" * 8, b"\xff" * _GAP_BYTES)
_MESSAGE_BYTES_MAX = 200
_PREFIX_BYTES = 5
_FRAME_ERRORS = {
    "compressed": FrameCompressionError,
    "flag": FrameError,
    "too large": FrameTooLargeError,
    "cut off": FrameCutOffError,
}


def feed(data: bytes) -> None:
    """Decode the messages of an input, and cut it as a body."""
    messages = messages_of(data)
    _check_messages(messages)
    _check_body(b"".join(len(each).to_bytes(5) + each for each in messages), step=7)
    if data:
        _check_body(data[1:], step=data[0] + 1)


def messages_of(data: bytes) -> list[bytes]:
    """Cut an input."""
    messages = []
    at = 0
    while at < len(data):
        end = at + 1 + data[at]
        messages.append(data[at + 1 : end])
        at = end
    return messages


def input_of(messages: list[bytes]) -> bytes:
    """The input that has these messages, each of up to 255 bytes."""
    return b"".join(bytes((len(message),)) + message for message in messages)


def _check_messages(messages: list[bytes]) -> None:
    here, elsewhere = (_placed(messages, gap) for gap in _GAPS)
    assert_surroundings_do_not_matter(here, elsewhere)
    blocks, rejected = decode_all(here)
    assert_as_the_library(here, blocks, rejected)
    assert_the_small_kernels_agree(here, blocks)
    for message in messages:
        # Here NumPy itself sees who reads on behind the end.
        decode(Frames(message, np.array([0]), np.array([len(message)])), INDEX)


def _placed(messages: list[bytes], gap: bytes) -> Frames:
    ends = list(accumulate(_GAP_BYTES + len(message) for message in messages))
    starts = [end - len(message) for end, message in zip(ends, messages, strict=True)]
    buffer = b"".join(gap + message for message in messages) + gap
    return Frames(buffer, np.array(starts, np.int64), np.array(ends, np.int64))


def _check_body(body: bytes, step: int) -> None:
    """A reader gives the messages up to what is wrong, and says what that is."""
    expected, problem = _frames_in(body)
    in_steps = [body[at : at + step] for at in range(0, len(body), step)]
    for pieces in (in_steps, [body]):
        for take in (_fed, _cut):
            found: list[bytes] = []
            reader = FrameReader(_MESSAGE_BYTES_MAX)
            try:
                for piece in pieces:
                    found += take(reader, piece)
                reader.finish()
            except FrameError as error:
                assert type(error) is _FRAME_ERRORS[problem]  # noqa: PT017 (what ends it as well)
                assert found == expected[: len(found)]
            else:
                assert not problem
                assert found == expected


def _fed(reader: FrameReader, piece: bytes) -> list[bytes]:
    frames = reader.feed(piece)
    return [] if frames is None else [frames.message(at) for at in range(len(frames))]


def _cut(reader: FrameReader, piece: bytes) -> list[bytes]:
    frames = Frames.from_payload(reader.cut(piece))
    return [frames.message(at) for at in range(len(frames))]


def _frames_in(body: bytes) -> tuple[list[bytes], str]:
    """What a body has, byte by byte, and what is wrong behind that."""
    found = []
    at = 0
    while at < len(body):
        if len(body) - at < _PREFIX_BYTES:
            return found, "cut off"
        length = int.from_bytes(body[at + 1 : at + _PREFIX_BYTES])
        if body[at] == 1:
            return found, "compressed"
        if body[at] > 1:
            return found, "flag"
        if length > _MESSAGE_BYTES_MAX:
            return found, "too large"
        end = at + _PREFIX_BYTES + length
        if end > len(body):
            return found, "cut off"
        found.append(body[at + _PREFIX_BYTES : end])
        at = end
    return found, ""
