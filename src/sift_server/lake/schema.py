"""The table of points: its columns are a contract that other readers rely on.

```text
date          DATE             UTC date of the timestamp; the table is partitioned by it
asset         STRING           name of the asset
channel       STRING           name of the channel, `component.name` where it has a component
channel_id    STRING           id of the channel; files are sorted by it, then by time
run_id        STRING           id of the run, or NULL
timestamp_ns  BIGINT           nanoseconds since 1970-01-01T00:00:00Z
value_double  DOUBLE           of DOUBLE channels
value_float   FLOAT            of FLOAT channels
value_int64   BIGINT           of INT_32, INT_64, UINT_32 and ENUM channels
value_uint64  DECIMAL(20, 0)   of UINT_64 channels: Delta has no unsigned integers
value_bool    BOOLEAN          of BOOL channels
value_string  STRING           of STRING channels
value_bytes   BINARY           of BIT_FIELD and BYTES channels
```

A row has one value; the other value columns are NULL. A file lacks columns that are NULL in all of
its rows. Floating point keeps its bits, also those of
NaN and of negative zero. Rows may be there more than once, when a client sent them more than once:
rows with the same channel, run, timestamp and value are the same point. A file whose name ends with
`-once.parquet` has each point once; of a time that no two files overlap in, such files have no row
twice.

A file holds one date, sorted by `channel_id`, then `timestamp_ns`; a row group ends where a channel
does, if it can. Row groups have minima and maxima of channels, ids and timestamps, files those of
`channel_id` and `timestamp_ns`. The encodings are those that every reader of Parquet knows:
dictionaries for names and ids, DELTA_BINARY_PACKED for timestamps and integers, else PLAIN; all
under zstd. BYTE_STREAM_SPLIT would make doubles of full precision a fifth smaller, but those with
few digits, which sensors have, two to three times larger, and not every reader knows it.

Each commit that adds points carries an application transaction: the position in the ingest log up
to which everything is in the table. Commits that merge small files into larger ones change no
points and say so (`dataChange` is false); of rows that are the same point they may keep one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from sift_server.lake.points import Kind

if TYPE_CHECKING:
    from collections.abc import Collection

PARTITION_COLUMN: Final = "date"

UINT64_TYPE: Final = pa.decimal128(20, 0)

NAME_COLUMNS: Final = ("asset", "channel", "channel_id", "run_id")
"""Columns that have few values, often."""

_VALUE_TYPES: dict[Kind, Any] = {
    Kind.DOUBLE: pa.float64(),
    Kind.FLOAT: pa.float32(),
    Kind.INT64: pa.int64(),
    Kind.UINT64: UINT64_TYPE,
    Kind.BOOL: pa.bool_(),
    Kind.STRING: pa.string(),
    Kind.BYTES: pa.binary(),
}

FILE_SCHEMA: Final = pa.schema(
    [
        pa.field("asset", pa.string(), nullable=False),
        pa.field("channel", pa.string(), nullable=False),
        pa.field("channel_id", pa.string(), nullable=False),
        pa.field("run_id", pa.string()),
        pa.field("timestamp_ns", pa.int64(), nullable=False),
        *(pa.field(kind.column, value_type) for kind, value_type in _VALUE_TYPES.items()),
    ]
)
"""Columns of a data file; the partition column is in its path."""

TABLE_SCHEMA: Final = FILE_SCHEMA.insert(0, pa.field(PARTITION_COLUMN, pa.date32()))
"""Columns of the table."""

_IN_MEMORY: dict[Any, Any] = {pa.string(): pa.large_string(), pa.binary(): pa.large_binary()}


def write_schema(kinds: Collection[Kind], *, has_runs: bool) -> Any:  # noqa: ANN401 (pyarrow has no types)
    """`FILE_SCHEMA` of a file as points are given to the writer.

    Names are dictionaries, texts may have any size. Columns that have no value in the whole file
    are left out.

    Args:
        kinds: Kinds of values of the file.
        has_runs: Whether points belong to runs.
    """
    without = {kind.column for kind in Kind if kind not in kinds}
    if not has_runs:
        without.add("run_id")
    return pa.schema(
        [
            field.with_type(
                pa.dictionary(pa.int32(), pa.string())
                if field.name in NAME_COLUMNS
                else _IN_MEMORY.get(field.type, field.type)
            )
            for field in FILE_SCHEMA
            if field.name not in without
        ]
    )
