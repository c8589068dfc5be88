"""Rejected messages as text for people and as JSON for programs."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError

from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataStreamRequest
from sift_server.commands.text import (
    NOTE_CHARACTERS_MAX,
    rfc_3339,
    shown,
    shown_time,
    table,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sift_server.catalog import ErrorCount, ErrorQueueTotals, RejectedEntry

_HEX_BYTES_PER_LINE = 16
_BYTES_PER_KIB = 1024
_NANOS_MAX = 999_999_999
_SECONDS_MIN, _SECONDS_MAX = -62_135_596_800, 253_402_300_799
"""The years 1 to 9999, which protobuf's JSON has."""


def entry_id(entry: RejectedEntry) -> str:
    """What a person calls a message: its position and index."""
    return f"{entry.position}/{entry.index}"


def count_document(count: ErrorCount) -> dict[str, Any]:
    """A count, for JSON."""
    return {
        "asset_name": count.asset_name,
        "flow_name": count.flow_name,
        "channel_name": count.channel_name,
        "cause": count.cause,
        "count": count.messages,
        "first_received": rfc_3339(count.first_received_ns),
        "last_received": rfc_3339(count.last_received_ns),
        "reason": count.reason,
    }


def totals_document(totals: ErrorQueueTotals) -> dict[str, Any]:
    """What was kept and dropped, for JSON."""
    return {
        "kept": {"count": totals.kept_messages, "bytes": totals.kept_bytes},
        "dropped": {
            "count": totals.dropped_messages,
            "bytes": totals.dropped_bytes,
            "first_received": rfc_3339(totals.dropped_first_ns),
            "last_received": rfc_3339(totals.dropped_last_ns),
        },
    }


def entry_document(entry: RejectedEntry) -> dict[str, Any]:
    """A message with all that is known of it, for JSON; its bytes in base 64."""
    return {
        "id": entry_id(entry),
        "asset_name": entry.asset_name,
        "ingestion_config_id": entry.ingestion_config_id,
        "flow_name": entry.flow_name,
        "channel_name": entry.channel_name,
        "cause": entry.cause,
        "reason": entry.reason,
        "received": rfc_3339(entry.received_ns),
        "timestamp": rfc_3339(entry.timestamp_ns),
        "message_base64": base64.b64encode(entry.message).decode("ascii"),
    }


def message_document(message: bytes) -> dict[str, Any] | None:
    """A message in protobuf's JSON, with the names of the protocol; None if it can't be read.

    A timestamp that JSON can't write is given as it is: its seconds and nanos.
    """
    try:
        request = IngestWithConfigDataStreamRequest.FromString(message)
    except DecodeError:
        return None
    seconds, nanos = request.timestamp.seconds, request.timestamp.nanos
    is_odd = not (_SECONDS_MIN <= seconds <= _SECONDS_MAX and 0 <= nanos <= _NANOS_MAX)
    if is_odd:
        request.ClearField("timestamp")
    document: dict[str, Any] = json_format.MessageToDict(
        request, preserving_proto_field_name=True, always_print_fields_with_no_presence=False
    )
    if is_odd:
        document["timestamp"] = {"seconds": seconds, "nanos": nanos}
    return document


def count_lines(counts: Iterable[ErrorCount]) -> Iterator[str]:
    """A table of counts; below each the reason of one of its messages."""
    head = ("MESSAGES", "ASSET", "FLOW", "CHANNEL", "CAUSE", "LAST RECEIVED")
    rows = [
        (
            f"{count.messages:,}".rjust(len(head[0])),
            *map(shown, (count.asset_name, count.flow_name, count.channel_name, count.cause)),
            shown_time(count.last_received_ns),
        )
        for count in counts
    ]
    return table(head, rows, [count.reason for count in counts])


def entry_lines(entries: Sequence[RejectedEntry]) -> Iterator[str]:
    """A table of messages, with their reasons."""
    head = ("ID", "RECEIVED", "ASSET", "FLOW", "CHANNEL", "CAUSE", "BYTES")
    rows = [
        (
            entry_id(entry),
            shown_time(entry.received_ns),
            *map(shown, (entry.asset_name, entry.flow_name, entry.channel_name, entry.cause)),
            f"{len(entry.message):,}",
        )
        for entry in entries
    ]
    return table(head, rows, [entry.reason for entry in entries])


def detail_lines(entry: RejectedEntry) -> Iterator[str]:
    """All that is known of a message, without its bytes."""
    details = (
        ("id", entry_id(entry)),
        ("received", rfc_3339(entry.received_ns)),
        ("timestamp", rfc_3339(entry.timestamp_ns)),
        ("asset", entry.asset_name),
        ("config", entry.ingestion_config_id),
        ("flow", entry.flow_name),
        ("channel", entry.channel_name),
        ("cause", entry.cause),
    )
    for name, value in details:
        yield f"{name:<10} {shown(value or '')}"
    yield f"{'reason':<10} {shown(entry.reason, NOTE_CHARACTERS_MAX)}"
    yield f"{'bytes':<10} {len(entry.message):,}"


def totals_lines(totals: ErrorQueueTotals) -> Iterator[str]:
    """What is kept, and what was dropped, in a sentence each."""
    yield f"Kept: {_amount(totals.kept_messages, totals.kept_bytes)}."
    if totals.dropped_messages:
        yield (
            f"Dropped to make room: {_amount(totals.dropped_messages, totals.dropped_bytes)},"
            f" received from {shown_time(totals.dropped_first_ns)}"
            f" to {shown_time(totals.dropped_last_ns)}."
        )
    else:
        yield "Dropped: none."


def hex_lines(data: bytes) -> Iterator[str]:
    """Bytes as hexadecimal numbers and characters, with their offsets."""
    for offset in range(0, len(data), _HEX_BYTES_PER_LINE):
        piece = data[offset : offset + _HEX_BYTES_PER_LINE]
        characters = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in piece)  # noqa: PLR2004 (ASCII)
        yield f"{offset:08x}  {piece.hex(' '):<{3 * _HEX_BYTES_PER_LINE}} {characters}"


def _amount(messages: int, size_bytes: int) -> str:
    kib = -(-size_bytes // _BYTES_PER_KIB)
    return f"{messages:,} {'message' if messages == 1 else 'messages'}, {kib:,} KiB"
