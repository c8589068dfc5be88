"""MCAP files: a topic for each channel, its messages JSON objects with one `value`.

A topic a channel and not a flow: channels are what is stored and plotted, each with its own times,
and every program that knows MCAP offers `TOPIC.value`. A topic is the name of its channel behind a
slash. Its metadata says `channel`, `data_type`, `unit` and `enum_types` (JSON). The time of a point
is both log and publish time, in nanoseconds.

What is no number in JSON is a text: `NaN`, `Infinity`, `-Infinity`. Bytes are in base 64. Where
there are several runs, messages have a field `run`, too.
"""

from __future__ import annotations

import base64
import json
import math
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from mcap.writer import CompressionType, Writer

from sift_files.errors import FilesError
from sift_files.writers.channels import channels_of, is_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sift_files.writers.channels import WrittenChannel

__all__ = ["McapWriter"]

ROWS_AT_ONCE = 8_192


class McapWriter:
    """Writes an MCAP file from wide tables."""

    def __init__(self, path: Path, schema: Any) -> None:  # noqa: ANN401 (pyarrow has no types)
        """Begin a file, with a topic for each channel."""
        self._channels = channels_of(schema)
        self._has_runs = any(is_run(number, field) for number, field in enumerate(schema))
        self._file = path.open("wb")
        self._writer = Writer(self._file, compression=CompressionType.ZSTD)
        self._writer.start(profile="", library="sift")
        self._topics = [self._topic(each) for each in self._channels]

    def write(self, table: Any) -> None:  # noqa: ANN401
        """Add the points of a table."""
        for batch in table.to_batches(max_chunksize=ROWS_AT_ONCE):
            times = batch.column(0).cast(pa.int64()).to_pylist()
            if times and times[0] < 0:
                raise FilesError("MCAP has no times before 1970")
            runs = _quoted(batch.column(1)) if self._has_runs else None
            columns = [
                (topic, _texts(channel, batch.column(channel.column)))
                for channel, topic in zip(self._channels, self._topics, strict=True)
            ]
            for row, time_ns in enumerate(times):
                behind = f', "run": {runs[row]}}}' if runs else "}"
                for topic, texts in columns:
                    text = texts[row]
                    if text is not None:
                        data = f'{{"value": {text}{behind}'.encode()
                        self._writer.add_message(topic, time_ns, data, time_ns)

    def close(self) -> None:
        """Write the end, and close it."""
        try:
            self._writer.finish()  # type: ignore[no-untyped-call]
        finally:
            self._file.close()

    def _topic(self, channel: WrittenChannel) -> int:
        properties: dict[str, Any] = {"value": _json_type(channel.kind)}
        if channel.unit:
            properties["value"]["description"] = f"in {channel.unit}"
        if self._has_runs:
            properties["run"] = {"type": "string"}
        document = {"type": "object", "properties": properties, "required": ["value"]}
        schema_id = self._writer.register_schema(
            channel.name, "jsonschema", json.dumps(document, ensure_ascii=False).encode()
        )
        topic: int = self._writer.register_channel(
            f"/{channel.name}", "json", schema_id, dict(channel.attributes)
        )
        return topic


def _json_type(kind: Any) -> dict[str, Any]:  # noqa: ANN401
    if pa.types.is_boolean(kind):
        return {"type": "boolean"}
    if pa.types.is_integer(kind):
        return {"type": "integer"}
    if pa.types.is_floating(kind):
        return {"type": "number"}
    if pa.types.is_binary(kind):
        return {"type": "string", "contentEncoding": "base64"}
    return {"type": "string"}


def _texts(channel: WrittenChannel, column: Any) -> list[str | None]:  # noqa: ANN401
    """The values as JSON; None where there is none."""
    kind = channel.kind
    if pa.types.is_floating(kind):
        # A float is written with the digits of a double that is the same number.
        return [None if each is None else _number(each) for each in column.to_pylist()]
    if pa.types.is_boolean(kind):
        names = {True: "true", False: "false", None: None}
        return [names[each] for each in column.to_pylist()]
    if pa.types.is_integer(kind):
        return [None if each is None else str(each) for each in column.to_pylist()]
    if pa.types.is_binary(kind):
        return [
            None if each is None else f'"{base64.b64encode(each).decode()}"'
            for each in column.to_pylist()
        ]
    return _quoted(column)


def _number(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return '"NaN"' if math.isnan(value) else ('"Infinity"' if value > 0 else '"-Infinity"')


def _quoted(column: Any) -> list[str | None]:  # noqa: ANN401
    texts: Iterator[str | None] = iter(column.to_pylist())
    return [None if each is None else json.dumps(each, ensure_ascii=False) for each in texts]
