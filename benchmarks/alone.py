"""The parts on their own, against what the machine can do with the same bytes or points."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.report import Section, console, rate
from benchmarks.senders.arrays import Values, arrays_of
from benchmarks.senders.workload import START_NS, STEP_NS, Workload
from sift_server.lake import PointStore
from sift_server.lake import warm_up as warm_up_lake
from sift_server.log import FileLog
from sift_wire.columns import DataType, FlowLayout
from sift_wire.decode import decode
from sift_wire.decode import warm_up as warm_up_decode
from sift_wire.encode import encode
from sift_wire.fields import BytesColumn, Column, NumberColumn
from sift_wire.flow_index import FlowIndex
from sift_wire.frames import Frames
from sift_wire.messages import message_ends

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from benchmarks.sizes import Size
    from sift_server.lake import PointBlock

VALUES = {"double": 8_000_000, "mixed": 4_000_000}
_ENDS = message_ends(
    "6f1a0e5c-3f0e-4c3e-9a54-5f3c2c1d7b11", "flow", "", "", end_stream_on_error=False
)


@dataclass(frozen=True, slots=True)
class _Flow:
    asset_name: str
    channel_ids: tuple[str, ...]
    layout: FlowLayout


def run(size: Size) -> list[Section]:
    """Measure encoding, decoding, the log and the table."""
    warm_up_decode()
    warm_up_lake()
    parts = Section(
        "Parts on their own, one process",
        "Values a second, absent ones included. The limits: a copy in memory of the same message"
        " bytes; a sequential write of them with one fsync; a plain pyarrow write of the same"
        " points to Parquet (asset, channel, ids and time as columns, dictionaries, zstd level 1,"
        " sorted). `part of limit`: encode and decode against the copy, log against the write,"
        " commit against Parquet.",
        [
            "workload", "encode", "decode", "copy", "log", "write + fsync", "commit", "Parquet",
            "encode / copy", "decode / copy", "log / write", "commit / Parquet",
        ],
    )  # fmt: skip
    for kind, values in VALUES.items():
        for channels in size.alone_channels:
            what = Workload(channels, kind, int(values * size.part) // channels)
            _measure(what, size.rounds, parts)
    parts.show()
    stored = _stored(size.part)
    stored.show()
    return [parts, stored]


def _measure(what: Workload, rounds: int, section: Section) -> None:
    console.print(f"[dim]parts, {what.name}, {what.values:,} values", highlight=False)
    times_ns = np.arange(what.rows, dtype=np.int64) * STEP_NS + START_NS
    columns = _columns(what)
    payloads = [chunk.data for chunk in encode(_ENDS, times_ns, columns)]
    layout = FlowLayout("flow", tuple(what.names()), tuple(DataType[each] for each in what.types()))
    index = _index(layout)
    blocks = [_block(payload, index) for payload in payloads]
    plain = _plain_table(blocks)
    taken: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, work in (
            ("encode", lambda: _drain(encode(_ENDS, times_ns, columns))),
            ("decode", lambda: _drain(_block(payload, index) for payload in payloads)),
            ("copy", lambda: _drain(bytearray(payload) for payload in payloads)),
            ("log", lambda: _log(payloads)),
            ("write", lambda: _write(payloads)),
            ("commit", lambda: _commit(blocks)),
            ("parquet", lambda: _parquet(plain)),
        ):
            taken.setdefault(name, []).append(work())
    seconds = {name: statistics.median(each) for name, each in taken.items()}
    pairs = (("encode", "copy"), ("decode", "copy"), ("log", "write"), ("commit", "parquet"))
    section.rows.append(
        [
            what.name,
            *(rate(what.values / each) for each in seconds.values()),
            *(f"{seconds[limit] / seconds[name]:.2f}" for name, limit in pairs),
        ]
    )
    section.figures[f"commit / plain Parquet write, {what.channels} channels, {what.kind}"] = (
        seconds["parquet"] / seconds["commit"]
    )


def _columns(what: Workload) -> list[Column]:
    return [
        _column(DataType[data_type], values)
        for data_type, values in zip(what.types(), arrays_of(what).values(), strict=True)
    ]


def _column(data_type: DataType, values: Values) -> Column:
    present = None
    if isinstance(values, np.ma.MaskedArray):
        present, values = ~values.mask, values.data
    if not data_type.is_variable_width:
        return NumberColumn(data_type, values, present)
    texts = [value.encode() if isinstance(value, str) else value or b"" for value in values]
    offsets = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    return BytesColumn(data_type, offsets, np.frombuffer(b"".join(texts), np.uint8), present)


def _index(layout: FlowLayout) -> FlowIndex[_Flow]:
    return FlowIndex(lambda *_: _Flow("asset", layout.channel_names, layout))


def _block(payload: bytes, index: FlowIndex[_Flow]) -> PointBlock:
    (block,) = decode(Frames.from_payload(payload), index).blocks
    return block


def _drain(work: Iterable[object]) -> float:
    return _timed(lambda: sum(1 for _ in work))


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _log(payloads: Sequence[bytes]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        log = FileLog.open(Path(folder))
        try:
            return _timed(
                lambda: [
                    each.result() for each in [log.append(p, lambda _: None) for p in payloads]
                ]
            )
        finally:
            log.close()


def _write(payloads: Sequence[bytes]) -> float:
    with tempfile.TemporaryFile(buffering=0) as file:

        def write() -> None:
            for payload in payloads:
                file.write(payload)
            os.fsync(file.fileno())

        return _timed(write)


def _commit(blocks: Sequence[PointBlock]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        store = PointStore.open(Path(folder))
        store.publish(1, blocks)
        seconds = _timed(store.flush)
        store.close()
        return seconds


def _plain_table(blocks: Sequence[PointBlock]) -> pa.Table:
    """The same points as somebody would write them who has only pyarrow."""
    with tempfile.TemporaryDirectory() as folder:
        store = PointStore.open(Path(folder))
        store.publish(1, blocks)
        store.flush()
        store.close()
        (file,) = Path(folder).rglob("date=*/*.parquet")
        table = pq.ParquetFile(file).read()
    return table.drop_columns(
        [name for name in table.column_names if table[name].null_count == len(table)]
    )


def _parquet(table: pa.Table) -> float:
    with tempfile.NamedTemporaryFile(suffix=".parquet") as file:

        def write() -> None:
            pq.write_table(table, file.name, compression="zstd", compression_level=1)
            os.fsync(file.fileno())

        return _timed(write)


def _stored(part: float) -> Section:
    """Bytes a value on disk."""
    section = Section(
        "Bytes a value in the table, timestamps and names included",
        "10 channels at 1 kHz. A slow sine under noise, rounded as sensors round, and the same"
        " unrounded, whose last bits nothing can compress; a random walk with three decimals.",
        ["values", "bytes a value"],
    )
    rows = max(1_000, int(400_000 * part))
    chance = np.random.default_rng(0)
    times_ns = np.arange(rows, dtype=np.int64) * STEP_NS + START_NS
    slow = 20 + 5 * np.sin(np.arange(rows) / 50)
    layout = FlowLayout("flow", tuple(f"c{n}" for n in range(10)), (DataType.DOUBLE,) * 10)
    kinds: dict[str, Callable[[], NDArray[np.float64]]] = {
        "rounded to 2 decimals": lambda: np.round(slow + chance.normal(0, 0.05, rows), 2),
        "rounded to 4 decimals": lambda: np.round(slow + chance.normal(0, 0.05, rows), 4),
        "random walk": lambda: np.round(20 + np.cumsum(chance.normal(0, 0.01, rows)), 3),
        "full precision": lambda: slow + chance.normal(0, 0.05, rows),
    }
    for name, values in kinds.items():
        columns: list[Column] = [NumberColumn(DataType.DOUBLE, values()) for _ in range(10)]
        index = _index(layout)
        blocks = [_block(chunk.data, index) for chunk in encode(_ENDS, times_ns, columns)]
        with tempfile.TemporaryDirectory() as folder:
            store = PointStore.open(Path(folder))
            store.publish(1, blocks)
            store.flush()
            stats = store.stats()
            store.close()
        bytes_per_value = stats.table_bytes / stats.table_points
        section.rows.append([name, f"{bytes_per_value:.2f}"])
        section.figures[f"bytes a value, {name}"] = bytes_per_value
    return section
