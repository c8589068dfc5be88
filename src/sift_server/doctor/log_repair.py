"""Mends the log: everything in it that is whole goes into the table, and a new log begins.

So each record that the table does not have keeps its position: rejected messages are known by it,
and those that are in the error queue already do not come twice. Records that the table had are read
into it again, for what they brought may be what the table lost. The log is set aside as it is.

The new log begins behind every position that was ever given to a record, as far as log, table and
error queue tell: a rejected message that comes later must not be taken for an earlier one.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sift_server.catalog import Catalog, ErrorQueueLimits
from sift_server.doctor.findings import counted, sized
from sift_server.doctor.log_state import whole_records
from sift_server.ingest import FlowDirectory, Ingestor, PendingRejects
from sift_server.lake import PointStore
from sift_server.lake.delta_log import sync_folder
from sift_server.log import FileLog, LogRecord
from sift_server.log.segment import ALIGNMENT, HEADER_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sift_server.doctor.aside import Aside
    from sift_server.doctor.log_state import LogState

_NO_LIMITS = ErrorQueueLimits(bytes_max=1 << 62, messages_max=1 << 62)
"""A repair drops nothing from the error queue, whatever the server's limits are."""


def mend_log(data_dir: Path, state: LogState, queued: int, aside: Aside) -> list[str]:
    """Mend a log; table and catalog have to be in order.

    Args:
        data_dir: The folder.
        state: What was found of the log.
        queued: Position of the last message that the error queue ever had.
        aside: Where the log goes.

    Returns:
        What was done and what is lost, in sentences.

    Raises:
        OSError: A file can't be read, written or moved.
    """
    beginning = data_dir / "log.new"
    with Catalog.open(data_dir / "catalog.sqlite", _NO_LIMITS) as catalog:
        store = PointStore.open(data_dir / "lake")
        covered = store.committed_position
        behind = _aligned(max(covered, state.beyond, queued))
        with _nothing_appended(beginning) as log:
            rejects = PendingRejects(catalog.error_queue.add)
            flows = FlowDirectory(catalog.ingestion_configs.flow)
            new = Ingestor(log, flows, store, rejects, time.time_ns)
            records = new.replay(_behind(whole_records(state), covered))
            store.publish(behind, [])
            store.flush(before_commit=rejects.persist)

            # Of these the queue has what did not fit.
            taken_before = PendingRejects(lambda _: None)
            old = Ingestor(log, flows, store, taken_before, time.time_ns)
            again = old.replay(_again(whole_records(state), covered, behind))
            end = _aligned(behind + again)
            store.publish(end, [])
            store.flush()
        store.close()
    with _nothing_appended(beginning, end):
        pass
    aside.move(data_dir / "log")
    # Batches are gone whose keys may be in it.
    aside.move(data_dir / "keys")
    beginning.rename(data_dir / "log")
    sync_folder(data_dir)
    return [
        *_losses(state, covered),
        f"log: all that is whole in it was read into the table, {counted(records, 'record')} that"
        f" the table did not have and {again:,} that it had; a new log begins at position {end}.",
    ]


@contextmanager
def _nothing_appended(folder: Path, position: int = 0) -> Iterator[FileLog]:
    """A new log that begins at a position, for as long as the with-block lasts."""
    for left in folder.glob("*"):
        left.unlink()
    log = FileLog.open(folder, covered_position=position)
    try:
        yield log
    finally:
        log.close()


def _aligned(position: int) -> int:
    return position + -position % ALIGNMENT


def _behind(records: Iterator[LogRecord], covered: int) -> Iterator[LogRecord]:
    """Records that the table does not have, with the positions that they had."""
    last = covered
    for record in records:
        # A segment may be there twice, under two names.
        if record.position > last:
            last = record.position
            yield record


def _again(records: Iterator[LogRecord], covered: int, behind: int) -> Iterator[LogRecord]:
    """Records that the table had, at positions that no record had.

    A file of the table may be lost that had their points. What is there twice is read once.
    """
    known = (record for record in records if record.position <= covered)
    for position, record in enumerate(known, behind + 1):
        yield LogRecord(position, record.payload)


def _losses(state: LogState, covered: int) -> Iterator[str]:
    before = None
    for segment in state.needed:
        name = f"log/{segment.path.name}"
        if before is not None and segment.base > before:
            yield (
                f"{name}: lost are the {sized(segment.base - before)} of the log in front of it,"
                f" positions {before} to {segment.base}."
            )
        elif before is None and segment.base > covered:
            yield (
                f"{name}: the {sized(segment.base - covered)} of the log in front of it, positions"
                f" {covered} to {segment.base}, are lost, unless files that came back into the"
                " table have what was in them."
            )
        for stretch in segment.damaged:
            yield (
                f"{name}: the {counted(stretch.end - stretch.start, 'byte')} from byte"
                f" {stretch.start} on are lost, unless the table has what was in them."
            )
        before = max(before or 0, segment.base + segment.size_bytes - HEADER_BYTES, segment.end)
    if state.closed > max(state.end, covered) and state.beyond >= state.closed:
        yield f"log: lost are positions {max(state.end, covered)} to {state.closed}, if any."
