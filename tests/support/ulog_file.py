"""Writes ULog files, as PX4's documentation of the format has them."""

from __future__ import annotations

import struct


def ulog(formats: dict[str, str], rows: list[tuple[str, int, bytes]], texts=()) -> bytes:
    """A log.

    Args:
        formats: Fields of each message, such as `uint64_t timestamp;float x;`.
        rows: Message, instance and bytes of each row.
        texts: Level, microseconds and words of what was logged.
    """
    parts = [b"ULog\x01\x12\x35\x01" + struct.pack("<Q", 0)]
    for name, fields in formats.items():
        parts.append(_message(b"F", f"{name}:{fields}".encode()))
    ids = {}
    for name, instance, _ in rows:
        if (name, instance) not in ids:
            ids[name, instance] = len(ids)
            body = struct.pack("<BH", instance, ids[name, instance]) + name.encode()
            parts.append(_message(b"A", body))
    for name, instance, data in rows:
        parts.append(_message(b"D", struct.pack("<H", ids[name, instance]) + data))
    for level, timestamp_us, words in texts:
        parts.append(_message(b"L", level + struct.pack("<Q", timestamp_us) + words.encode()))
    return b"".join(parts)


def _message(kind: bytes, body: bytes) -> bytes:
    return struct.pack("<H", len(body)) + kind + body
