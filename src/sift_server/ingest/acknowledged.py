"""Which batches were acknowledged already: a retry of one is answered without being taken again.

A client that did not hear the answer sends its batch again, under the same *idempotency key*, a
UUID. To take it twice would change nothing: a point is the same point when channel, run, timestamp
and value are the same. To know its key saves the work, and the storage until the next compaction.

That sets what it may cost: no wait, no fsync. A batch that is one record of the log has its key in
that record, so that both are durable or neither is. The key of a longer one rides with the next
record that is written. What a flush lets the log forget is noted in a file, which is not synced:
after a power cut, keys may be forgotten, and their batches be taken again.
"""

from __future__ import annotations

import logging
import threading
import uuid
import zlib
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

KEYS_MAX = 65_536
"""Keys that are remembered; the oldest are forgotten first."""

KEYS_PER_RECORD_MAX = 255
"""Keys that one record of the log can carry."""

KEY_BYTES = 16

_MAGIC = b"SIFTKEY1"
_CRC_BYTES = 4
_KEYED = b"\x01"
"""What a record with keys begins with; one without begins with a frame, so with 0."""

_logger = logging.getLogger(__name__)


def parse_key(text: str) -> bytes | None:
    """The bytes of an idempotency key, or None if the text is no UUID."""
    try:
        return uuid.UUID(text).bytes
    except ValueError:
        return None


def record_payload(frames: bytes | memoryview, keys: list[bytes]) -> bytes | memoryview:
    """Payload of a log record: up to `KEYS_PER_RECORD_MAX` keys, and frames."""
    if not keys:
        return frames
    return b"".join((_KEYED, bytes((len(keys),)), *keys, frames))


def read_payload(payload: bytes) -> tuple[bytes | memoryview, list[bytes]]:
    """Frames and keys of what `record_payload` gave."""
    if payload[:1] != _KEYED:
        return payload, []
    first = len(_KEYED) + 1
    end = first + payload[1] * KEY_BYTES
    keys = [payload[at : at + KEY_BYTES] for at in range(first, end, KEY_BYTES)]
    return memoryview(payload)[end:], keys


def is_keys_file_whole(data: bytes) -> bool:
    """Whether bytes are what `AcknowledgedKeys` notes in its file."""
    body = data[:-_CRC_BYTES]
    return body[: len(_MAGIC)] == _MAGIC and _crc(body) == data[-_CRC_BYTES:]


class AcknowledgedKeys:
    """The last `KEYS_MAX` keys that were acknowledged. Safe from many threads."""

    def __init__(self, path: Path | None = None, keys_max: int = KEYS_MAX) -> None:
        """Take the file to note keys in, if any; see `open`."""
        self._path = path
        self._keys_max = keys_max
        self._keys: dict[bytes, None] = {}
        self._riding: list[bytes] = []
        """Keys that no record of the log has yet."""
        self._changed = False
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path, keys_max: int = KEYS_MAX) -> Self:
        """Remember what was noted in a file. One that can't be read says nothing."""
        known = cls(path, keys_max)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return known
        if not is_keys_file_whole(data):
            _logger.warning(
                "%s can't be read; batches that are sent again are taken again, which changes"
                " nothing",
                path,
            )
            return known
        body = data[:-_CRC_BYTES]
        known.add(body[at : at + KEY_BYTES] for at in range(len(_MAGIC), len(body), KEY_BYTES))
        known._changed = False
        return known

    def __contains__(self, key: bytes) -> bool:
        return key in self._keys

    def add(self, keys: Iterable[bytes]) -> None:
        """Remember keys of batches that are durable, and stand in the log."""
        with self._lock:
            for key in keys:
                self._keys[key] = None
                self._changed = True
            while len(self._keys) > self._keys_max:
                del self._keys[next(iter(self._keys))]

    def add_riding(self, key: bytes) -> None:
        """Remember the key of a batch that is durable; the next record takes it along."""
        self.add((key,))
        with self._lock:
            self._riding.append(key)
            del self._riding[: -self._keys_max]

    def take_riding(self, count_max: int = KEYS_PER_RECORD_MAX) -> list[bytes]:
        """Take out keys that a record is to carry."""
        if not self._riding:
            return []
        with self._lock:
            taken, self._riding = self._riding[:count_max], self._riding[count_max:]
        return taken

    def persist(self) -> None:
        """Note all keys in the file, before the log may forget them.

        If the file can't be written, that is logged: nothing else must fail for it.
        """
        with self._lock:
            if self._path is None or not self._changed:
                return
            body = b"".join((_MAGIC, *self._keys))
            self._changed = False
        unfinished = self._path.with_suffix(".new")
        try:
            unfinished.write_bytes(body + _crc(body))
            unfinished.replace(self._path)
        except OSError as error:
            self._changed = True
            _logger.warning("%s can't be written: %s", self._path, error)


def _crc(body: bytes) -> bytes:
    return zlib.crc32(body).to_bytes(_CRC_BYTES, "little")
