"""Files of messages by topic: what fields they have, and their rows as columns.

A path of a column is `topic#field`. All messages are looked at, so that no field is missed that
only late messages have; a few at a time become columns.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from sift_files.batch import BadCell, Batch
from sift_files.errors import PlanError, UnreadableFileError
from sift_files.fields import FieldKinds, array_of_fields
from sift_files.names import unique
from sift_files.plan import (
    ColumnPlan,
    FilePlan,
    TablePlan,
    TimeFormat,
    TimePlan,
)
from sift_files.texts import REASONS
from sift_files.times.column import ns_of_array
from sift_files.times.numbers import plus
from sift_files.told import as_told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from sift_files.hints import Hints
    from sift_files.judge import Judge
    from sift_files.plan import FileFormat

__all__ = ["Message", "detect_messages", "read_messages"]

MESSAGES_AT_ONCE = 20_000
VALUES_AT_ONCE = 500_000
"""So many of all topics together become columns at once."""

_STAMP_PARTS = (("sec", "nanosec"), ("secs", "nsecs"), ("sec", "nsec"), ("seconds", "nanos"))
_NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a file.

    Attributes:
        topic: What it was sent as.
        time_ns: When it was logged, in nanoseconds since 1970.
        fields: Decodes it.
        told: What is said of its topic.
    """

    topic: str
    time_ns: int
    fields: Callable[[], Mapping[str, object]]
    told: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Topic:
    rows: int = 0
    fields: dict[str, FieldKinds] = field(default_factory=dict)
    told: Mapping[str, str] = field(default_factory=dict)


def detect_messages(
    path: Path,
    file_format: FileFormat,
    messages: Iterable[Message],
    hints: Hints,
    notes: list[str],
) -> FilePlan:
    """Find out what fields messages have.

    Raises:
        UnreadableFileError: A message can't be decoded, or there are none.
        PlanError: No topic has the field that the hints name as the time.
    """
    if len(hints.time) > 1 or (hints.time_format is not None and not hints.time):
        raise PlanError("messages have their own times; --time names one field to take instead")
    topics: dict[str, _Topic] = {}
    for message in messages:
        topic = topics.setdefault(message.topic, _Topic(told=message.told))
        topic.rows += 1
        for name, value in message.fields().items():
            kinds = topic.fields.get(name)
            if kinds is None:
                kinds = topic.fields[name] = FieldKinds()
            kinds.add(value)  # type: ignore[arg-type]
    if not topics:
        raise UnreadableFileError(f"{path} has no messages that can be read")
    stamp = hints.time[0] if hints.time else ""
    if stamp and not any(_has_stamp(topic.fields, stamp) for topic in topics.values()):
        raise PlanError(f"no topic has a time {stamp!r}")
    names = unique(_name(topic) for topic in topics)
    tables = []
    for name, (topic_name, topic) in zip(names, topics.items(), strict=True):
        has_stamp = bool(stamp) and _has_stamp(topic.fields, stamp)
        time_format = hints.time_format if has_stamp else None
        time = TimePlan(
            (stamp,) if has_stamp else (), time_format or TimeFormat.ABSOLUTE_UNIX_NANOSECONDS
        )
        columns = tuple(
            as_told(
                ColumnPlan(
                    path=f"{topic_name}#{path_of_field}",
                    name=f"{topic_name}#{path_of_field}",
                    channel=f"{name}.{path_of_field}" if path_of_field else name,
                    data_type=kinds.decide(),
                    examples=tuple(kinds.examples),
                ),
                topic.told if path_of_field == "value" else {},
                keeps_type=False,
            )
            for path_of_field, kinds in topic.fields.items()
        )
        if columns:
            tables.append(TablePlan(name, time, columns, topic.rows))
        else:
            notes.append(f"{topic_name}: its messages have no values that can be channels")
    return FilePlan(file_format, tuple(tables), tuple(notes))


def read_messages(
    path: Path, plan: FilePlan, messages: Iterable[Message], start: int, judge: Judge
) -> Iterator[Batch]:
    """Rows of messages; places are messages.

    Raises:
        PlanError: The plan lacks times.
        BadCellError: A value does not fit.
    """
    tables = {_topic_of(table): table for table in plan.tables if table.wanted}
    rows: dict[str, list[tuple[int, Mapping[str, object]]]] = {}
    seen: dict[str, int] = dict.fromkeys(tables, 0)
    first_ns: int | None = None
    place, at, values = start, 0, 0
    for at, message in enumerate(messages, 1):
        first_ns = message.time_ns if first_ns is None else first_ns
        if message.topic not in tables:
            continue
        if at <= start:
            seen[message.topic] += 1
            continue
        fields = message.fields()
        rows.setdefault(message.topic, []).append((message.time_ns, fields))
        values += len(fields)
        if values >= VALUES_AT_ONCE or at - place >= MESSAGES_AT_ONCE:
            yield from _batches(path, tables, rows, seen, first_ns, (place, at), judge)
            place, values = at, 0
            rows.clear()
    if rows and first_ns is not None:
        yield from _batches(path, tables, rows, seen, first_ns, (place, at), judge)


def _batches(
    path: Path,
    tables: Mapping[str, TablePlan],
    rows: Mapping[str, list[tuple[int, Mapping[str, object]]]],
    seen: dict[str, int],
    first_ns: int,
    places: tuple[int, int],
    judge: Judge,
) -> Iterator[Batch]:
    before, after = places
    for number, (topic, found) in enumerate(rows.items(), 1):
        table = tables[topic]
        place = after if number == len(rows) else before
        yield _batch(path, table, found, seen[topic], first_ns, place, judge)
        seen[topic] += len(found)


def _batch(
    path: Path,
    table: TablePlan,
    rows: list[tuple[int, Mapping[str, object]]],
    first_row: int,
    first_ns: int,
    place: int,
    judge: Judge,
) -> Batch:
    time = table.time
    if time is None:
        raise PlanError(f"{path}: {table.name} has no times")
    times_ns, bad = _times(time, rows, first_ns)
    cells: list[tuple[BadCell, str, int | None]] = []
    for row in np.flatnonzero(bad).tolist():
        cell = BadCell(path.name, first_row + row + 1, f"{table.name}#{time.columns[0]}",
                       str(rows[row][1].get(time.columns[0], "")), "is no time")  # fmt: skip
        cells.append((cell, "", None))
    columns: dict[str, Any] = {}
    for column in table.wanted:
        name = column.path.partition("#")[2]
        values = [fields.get(name) for _, fields in rows]
        columns[column.channel], wrong = array_of_fields(values, column)
        for row in wrong:
            cell = BadCell(path.name, first_row + row + 1, column.name, str(values[row]),
                           REASONS[column.data_type], path=column.path)  # fmt: skip
            cells.append((cell, column.channel, None if bad[row] else int(times_ns[row])))
    cells.sort(key=lambda each: each[0].line)
    kept = judge.take(cells)
    if bad.any():
        good = np.flatnonzero(~bad)
        times_ns = times_ns[good]
        columns = {channel: array.take(good) for channel, array in columns.items()}
    return Batch(table.name, times_ns, columns, len(rows), place, kept)


def _times(
    time: TimePlan, rows: list[tuple[int, Mapping[str, object]]], first_ns: int
) -> tuple[Any, Any]:
    logged = np.array([time_ns for time_ns, _ in rows], np.int64)
    if not time.columns:
        if time.start_ns is None:
            return logged, np.zeros(len(rows), np.bool_)
        return plus(logged - first_ns, time.start_ns)
    stamps = [_stamp(fields, time.columns[0]) for _, fields in rows]
    return ns_of_array(np.array([np.nan if one is None else one for one in stamps]), time)


def _has_stamp(fields: Iterable[str], name: str) -> bool:
    names = set(fields)
    return name in names or any(
        {f"{name}.{seconds}", f"{name}.{rest}"} <= names for seconds, rest in _STAMP_PARTS
    )


def _stamp(fields: Mapping[str, object], name: str) -> object:
    value = fields.get(name)
    if value is not None:
        return value
    for seconds, rest in _STAMP_PARTS:
        whole, part = fields.get(f"{name}.{seconds}"), fields.get(f"{name}.{rest}")
        if isinstance(whole, int) and isinstance(part, int):
            return whole * _NS_PER_S + part
    return None


def _name(topic: str) -> str:
    return topic.strip("/").replace("/", ".") or topic


def _topic_of(table: TablePlan) -> str:
    return table.columns[0].path.partition("#")[0]
