"""What server and worker say to each other: frames over a socket, some with open files.

A frame is a byte that says what it is, eight bytes with its length, and so many bytes.
"""

from __future__ import annotations

import array
import enum
import json
import select
import socket
import struct
import time
from typing import Any

_HEAD = struct.Struct("<cQ")
_FILES_MAX = 253
"""Open files of one message: the system takes no more."""
_READ_BYTES_MAX = 1024 * 1024


class Frame(enum.Enum):
    """What a frame is."""

    STATEMENT = b"Q"
    """A statement and its limits, JSON."""
    NAMES = b"N"
    """What the statement names, JSON."""
    TABLES = b"T"
    """How the tables are made, JSON; before it come `FILES`."""
    FILES = b"F"
    """Open files that tables are in; empty."""
    BATCH = b"B"
    """A stream of Arrow with a batch of the answer, or none yet."""
    END = b"Z"
    """The answer is complete; empty."""
    ERROR = b"E"
    """There is no answer, or no more of it, JSON."""


class ChannelClosedError(Exception):
    """The other end is gone."""


class ChannelTimeoutError(Exception):
    """Nothing came in time."""


class Channel:
    """One end. For one thread at a time."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def send(self, frame: Frame, data: Any = b"") -> None:  # noqa: ANN401 (any buffer)
        """Send a frame.

        Raises:
            ChannelClosedError: The other end is gone.
        """
        try:
            self._end.sendall(_HEAD.pack(frame.value, len(data)))
            if len(data):
                self._end.sendall(data)
        except OSError:
            raise ChannelClosedError from None

    def send_document(self, frame: Frame, document: Any) -> None:  # noqa: ANN401 (any JSON)
        """Send a frame of JSON.

        Raises:
            ChannelClosedError: The other end is gone.
        """
        self.send(frame, json.dumps(document).encode())

    def send_files(self, files: list[int]) -> None:
        """Send open files, which stay open here too.

        Raises:
            ChannelClosedError: The other end is gone.
        """
        for start in range(0, len(files), _FILES_MAX):
            some = files[start : start + _FILES_MAX]
            try:
                socket.send_fds(self._end, [_HEAD.pack(Frame.FILES.value, 0)], some)
            except OSError:
                raise ChannelClosedError from None

    def receive(self, timeout_s: float | None = None) -> tuple[Frame, bytearray, list[int]]:
        """Wait for a frame; give what it is, its bytes, and the files that came with it.

        Raises:
            ChannelClosedError: The other end is gone.
            ChannelTimeoutError: It did not come whole in time.
        """
        until_s = None if timeout_s is None else time.monotonic() + timeout_s
        head = bytearray(_HEAD.size)
        files = self._fill(memoryview(head), until_s)
        kind, length = _HEAD.unpack(head)
        data = bytearray(length)
        self._fill(memoryview(data), until_s)
        return Frame(kind), data, files

    def _fill(self, room: memoryview, until_s: float | None) -> list[int]:
        files = array.array("i")
        ancillary = socket.CMSG_LEN(_FILES_MAX * files.itemsize)
        while room:
            self._wait(until_s)
            try:
                count, sent, _, _ = self._end.recvmsg_into([room[:_READ_BYTES_MAX]], ancillary)
            except OSError:
                raise ChannelClosedError from None
            if not count:
                raise ChannelClosedError
            for level, kind, data in sent:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    files.frombytes(data[: len(data) - len(data) % files.itemsize])
            room = room[count:]
        return files.tolist()

    def _wait(self, until_s: float | None) -> None:
        if until_s is None:
            return
        left_s = max(0.0, until_s - time.monotonic())
        try:
            ready = select.select([self._end], [], [], left_s)[0]
        except (OSError, ValueError):
            raise ChannelClosedError from None
        if not ready:
            raise ChannelTimeoutError
