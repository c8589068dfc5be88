"""Other programs read the table where it is: Polars, DuckDB and ClickHouse.

DuckDB and ClickHouse have readers of Delta tables in their Python packages, and run in environments
of their own. Spark and Trino take theirs from a repository of Java packages, which these tests do
not reach.
"""

from __future__ import annotations

import datetime as dt
import json
import struct
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from sift_server.lake import Doomed, PointStore
from sift_wire.columns import DataType
from support.peer_env import peer_python
from support.points import make_block, make_layout

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAMS = Path(__file__).parents[1] / "peers" / "programs"
DUCKDB = ("duckdb==1.5.5", "duckdb-extension-delta==1.5.5")
CLICKHOUSE = ("chdb==4.4.0",)

DAY_NS = 86_400 * 10**9
VALUES: dict[str, tuple[DataType, list[Any]]] = {
    "double": (DataType.DOUBLE, [1.5, -0.0, float("nan"), float("-inf"), 5e-324]),
    "float": (DataType.FLOAT, [0.1, -0.0, float("inf"), 1e-45, 0.0]),
    "int": (DataType.INT_64, [-(2**63), 2**63 - 1, 0, -1, 2**53 + 1]),
    "uint": (DataType.UINT_64, [0, 2**64 - 1, 2**63, 1, 2**53 + 1]),
    "bool": (DataType.BOOL, [True, False, True, False, True]),
    "string": (DataType.STRING, ["", "a", "naïve \N{ROCKET}", "line\nbreak", "'quoted'"]),
    "bytes": (DataType.BYTES, [b"", b"\0", b"\xff\xfe", b"ab", b"\0\0"]),
}
COLUMNS = {
    "double": "value_double",
    "float": "value_float",
    "int": "value_int64",
    "uint": "value_uint64",
    "bool": "value_bool",
    "string": "value_string",
    "bytes": "value_bytes",
}
TIMES = [-1, 0, DAY_NS - 1, DAY_NS, 20_000 * DAY_NS + 123_456_789]
"""Of the dates before and after 1970 began, and of one with nanoseconds."""

Row = tuple[str, ...]


def read_by_polars(folder: Path) -> list[dict[str, Any]]:
    rows = pl.scan_delta(str(folder)).collect().to_dicts()
    for row in rows:
        for name, layout in (("value_double", ">d"), ("value_float", ">f")):
            if row[name] is not None:
                row[name] = struct.pack(layout, row[name]).hex()
        if row["value_bytes"] is not None:
            row["value_bytes"] = row["value_bytes"].hex()
    return rows


def read_by_duckdb(folder: Path) -> list[dict[str, Any]]:
    return read_by(DUCKDB, "read_lake_duckdb.py", folder)


def read_by_clickhouse(folder: Path) -> list[dict[str, Any]]:
    return read_by(CLICKHOUSE, "read_lake_clickhouse.py", folder)


def read_by(requirements: tuple[str, ...], program: str, folder: Path) -> list[dict[str, Any]]:
    done = subprocess.run(
        [peer_python(requirements), PROGRAMS / program, folder],
        capture_output=True,
        text=True,
        timeout=120,
        # Outside of where it runs, ClickHouse reads nothing.
        cwd=folder.parent,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def plain(row: dict[str, Any]) -> Row:
    """A row as text, however its reader types it."""
    column = next(name for name in COLUMNS.values() if row[name] is not None)
    return (
        str(row["date"]),
        row["asset"],
        row["channel"],
        row["run_id"] or "",
        str(row["timestamp_ns"]),
        column,
        str(row[column]),
    )


def wanted(run_id: str, places: range) -> set[Row]:
    rows = set()
    for place in places:
        date = dt.date(1970, 1, 1) + dt.timedelta(days=TIMES[place] // DAY_NS)
        for channel, (_, values) in VALUES.items():
            value = values[place]
            match channel:
                case "double":
                    text = struct.pack(">d", value).hex()
                case "float":
                    text = struct.pack(">f", value).hex()
                case "bytes":
                    text = value.hex()
                case _:
                    text = str(value)
            rows.add((str(date), "rig", channel, run_id, str(TIMES[place]), COLUMNS[channel], text))
    return rows


@pytest.mark.parametrize(
    "read",
    [
        read_by_polars,
        pytest.param(read_by_duckdb, marks=pytest.mark.peer),
        pytest.param(read_by_clickhouse, marks=pytest.mark.peer),
    ],
)
def test_every_value_is_there_as_it_was_sent(
    tmp_path: Path, read: Callable[[Path], list[dict[str, Any]]]
):
    """Of files that were flushed, merged, and written anew without what was deleted."""
    folder = tmp_path / "lake"
    store = PointStore.open(folder)
    layout = make_layout("all", {name: data_type for name, (data_type, _) in VALUES.items()})
    ids = tuple(f"id of {name}" for name in VALUES)
    position = 0
    for run_id in ("", "run a", "run that goes"):
        for place, time_ns in enumerate(TIMES):
            position += 1
            row = (time_ns, [values[place] for _, values in VALUES.values()])
            store.publish(position, [make_block(layout, ids, [row], run_id)])
            store.flush()
    for number in range(8):
        position += 1
        row = (10 + number, [None, None, None, None, None, f"text {number}", None])
        store.publish(position, [make_block(layout, ids, [row])])
        store.flush()
    while store.compact():
        pass
    store.remove(Doomed(run_id="run that goes"))
    texts = {
        ("1970-01-01", "rig", "string", "", str(10 + number), "value_string", f"text {number}")
        for number in range(8)
    }

    rows = [plain(row) for row in read(folder)]

    assert set(rows) == wanted("", range(5)) | wanted("run a", range(5)) | texts
    assert len(rows) == len(set(rows))
