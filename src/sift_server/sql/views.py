"""The SQL that makes tables of points, out of files and of hot points.

A file lacks columns that are NULL in all of its rows, so that files are read in groups that have
the same ones. See `once` for where points are looked for that are there twice. All names and texts
go through `quoted` and `_text`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sift_server.lake.points import Kind, kind_of
from sift_server.sql.flow_views import quoted
from sift_server.sql.once import Source, Span, alone
from sift_wire.columns import DataType

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from sift_server.sql.flow_views import FlowChannel, FlowView

ENUM_STATES = "__enum_states"
"""Table of the states of enum channels: `channel_id`, `key`, `name`."""

_RAW = "__raw"
_ONCE = "__once"
_KEY_COLUMNS = ("asset", "channel", "channel_id", "run_id", "timestamp_ns")
_TYPES = {
    "asset": "VARCHAR",
    "channel": "VARCHAR",
    "channel_id": "VARCHAR",
    "run_id": "VARCHAR",
    "timestamp_ns": "BIGINT",
    "value_double": "DOUBLE",
    "value_float": "FLOAT",
    "value_int64": "BIGINT",
    "value_uint64": "DECIMAL(20, 0)",
    "value_bool": "BOOLEAN",
    "value_string": "VARCHAR",
    "value_bytes": "BLOB",
}
_VALUE_COLUMNS = tuple(kind.column for kind in Kind)
_BY_BITS = ("value_double", "value_float")
_NARROW = {
    DataType.INT_32: "INTEGER",
    DataType.UINT_32: "UINTEGER",
    DataType.UINT_64: "UBIGINT",
}
_TIME = "try(make_timestamp_ns({}.timestamp_ns)) AS time"


@dataclass(frozen=True, slots=True)
class PointSource:
    """A file, or a table of hot points.

    Attributes:
        path: Of the file; empty for hot points.
        table: Of the hot points; empty for a file.
        columns: Names of the columns that it has.
        source: What it can hold at the most.
    """

    path: str
    table: str
    columns: frozenset[str]
    source: Source


def points_views(
    sources: Sequence[PointSource], words: Collection[str] | None, *, has_enums: bool
) -> list[str]:
    """Statements that make the view `points`, which has each point once.

    Args:
        sources: Where points are.
        words: Names of columns that a statement may use; None for all.
        has_enums: Whether there is the table `ENUM_STATES`.
    """
    needs_run = words is None or "run" in words
    needs_enum = has_enums and (words is None or "value_enum" in words)
    joins = " LEFT JOIN runs AS r ON r.run_id = p.run_id" if needs_run else ""
    if needs_enum:
        joins += (
            f" LEFT JOIN {ENUM_STATES} AS e"
            " ON e.channel_id = p.channel_id AND e.key = p.value_int64"
        )
    run = "r.run" if needs_run else "NULL::VARCHAR"
    enum = "e.name" if needs_enum else "NULL::VARCHAR"
    return [
        f"CREATE VIEW {_ONCE} AS {_once(sources)}",
        f"CREATE VIEW points AS SELECT p.asset, p.channel, {run} AS run, {_TIME.format('p')},"
        " COALESCE(p.value_double, p.value_float::DOUBLE, p.value_int64::DOUBLE,"
        " p.value_uint64::DOUBLE, p.value_bool::INTEGER::DOUBLE) AS value,"
        " p.value_double, p.value_float, p.value_int64, p.value_uint64::UBIGINT AS value_uint64,"
        f" p.value_bool, p.value_string, p.value_bytes, {enum} AS value_enum,"
        f" p.timestamp_ns, p.channel_id, p.run_id FROM {_ONCE} AS p{joins}",
    ]


def flow_view(view: FlowView) -> list[str]:
    """Statements that make a wide view, over what `raw_view` makes.

    One of several values of a channel at one time is there, the largest: so that it does not matter
    whether a point is there twice.
    """
    ids = ", ".join(_text(channel.channel_id) for channel in view.columns.values())
    picks = [_pick(number, channel) for number, channel in enumerate(view.columns.values())]
    columns = [
        f"{_shown(number, channel)} AS {quoted(name)}"
        for number, (name, channel) in enumerate(view.columns.items())
    ]
    inner = ", ".join(["run_id", "timestamp_ns", *picks])
    outer = ", ".join([_TIME.format("w"), "w.timestamp_ns", "r.run", "w.run_id", *columns])
    return [
        f"CREATE SCHEMA IF NOT EXISTS {quoted(view.schema)}",
        f"CREATE VIEW {view.sql_name} AS SELECT {outer} FROM (SELECT {inner} FROM {_RAW}"
        f" WHERE channel_id IN ({ids}) GROUP BY run_id, timestamp_ns) AS w"
        " LEFT JOIN runs AS r ON r.run_id = w.run_id",
    ]


def raw_view(sources: Sequence[PointSource]) -> str:
    """The statement that makes the view of all points, some perhaps more than once."""
    return f"CREATE VIEW {_RAW} AS {_union(_selects(sources))}"


def _once(sources: Sequence[PointSource]) -> str:
    spans = alone([each.source for each in sources])
    whole, parts, rest = [], [], []
    for each, span in zip(sources, spans, strict=True):
        if span is None:
            rest.append(each)
        elif span.is_all_of(each.source):
            whole.append(each)
        else:
            parts.append((each, span))
    selects = _selects(whole)
    selects += (f"{_select(each)} WHERE {_within(span)}" for each, span in parts)
    shared = _selects(rest)
    shared += (f"{_select(each)} WHERE NOT ({_within(span)})" for each, span in parts)
    if shared:
        selects.append(_distinct(_union(shared)))
    return _union(selects)


def _distinct(relation: str) -> str:
    """Each point once: values are the same if their bits are."""
    keys = ", ".join(_KEY_COLUMNS)
    bits = ", ".join(f"{name}::BIT" for name in _BY_BITS)
    others = ", ".join(name for name in _VALUE_COLUMNS if name not in _BY_BITS)
    values = ", ".join(
        f"any_value({name}) AS {name}" if name in _BY_BITS else name for name in _VALUE_COLUMNS
    )
    return f"SELECT {keys}, {values} FROM ({relation}) GROUP BY {keys}, {bits}, {others}"


def _selects(sources: Iterable[PointSource]) -> list[str]:
    """A statement for all files that have the same columns, and one for each table."""
    files: dict[frozenset[str], list[str]] = {}
    selects = []
    for each in sources:
        if each.path:
            files.setdefault(each.columns, []).append(each.path)
        else:
            selects.append(_select(each))
    return [_columns(columns, _parquet(paths)) for columns, paths in files.items()] + selects


def _select(source: PointSource) -> str:
    relation = _parquet([source.path]) if source.path else source.table
    return _columns(source.columns, relation)


def _columns(there: frozenset[str], relation: str) -> str:
    columns = [
        f"{name if name in there else 'NULL'}::{kind} AS {name}" for name, kind in _TYPES.items()
    ]
    return f"SELECT {', '.join(columns)} FROM {relation}"


def _parquet(paths: Iterable[str]) -> str:
    return f"read_parquet([{', '.join(map(_text, paths))}], hive_partitioning = false)"


def _union(selects: Sequence[str]) -> str:
    if not selects:
        return f"{_columns(frozenset(), '(SELECT 1)')} WHERE false"
    return " UNION ALL ".join(selects)


def _within(span: Span) -> str:
    return f"timestamp_ns BETWEEN {_bigint(span.first_ns)} AND {_bigint(span.last_ns)}"


def _pick(number: int, channel: FlowChannel) -> str:
    column = kind_of(channel.data_type).column
    return f"max({column}) FILTER (channel_id = {_text(channel.channel_id)}) AS c{number}"


def _shown(number: int, channel: FlowChannel) -> str:
    value = f"w.c{number}"
    if channel.data_type is DataType.ENUM and channel.enum_types:
        names = {key: name for name, key in channel.enum_types}
        states = " ".join(f"WHEN {key} THEN {_text(name)}" for key, name in names.items())
        return f"CASE {value} {states} ELSE {value}::VARCHAR END"
    if channel.data_type is DataType.ENUM:
        return f"{value}::VARCHAR"
    narrow = _NARROW.get(channel.data_type)
    return f"{value}::{narrow}" if narrow else value


def _bigint(number: int) -> str:
    return f"'{number}'::BIGINT"


def _text(text: str) -> str:
    if "\0" in text:
        # Literals can't have it; nothing that is stored is called so.
        text = text.replace("\0", "")
    return "'" + text.replace("'", "''") + "'"
