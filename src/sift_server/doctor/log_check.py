"""Judges an ingest log: whether a server takes it, and whether it goes with table and queue."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from sift_server.doctor.findings import Finding, Level, counted, note, problem
from sift_server.log.segment import HEADER_BYTES, segment_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sift_server.doctor.log_state import LogState, Segment

SALVAGE = (
    "Repair reads every record that is whole into the table, sets the log aside, and begins a new"
    " one; or restore a backup."
)


def log_findings(state: LogState, covered: int, queued: int) -> Iterator[Finding]:
    """Judge a log.

    Args:
        state: The log.
        covered: Position up to which the table has everything.
        queued: Position of the last message that the error queue ever had; 0 if it had none.
    """
    for path in state.odd:
        yield problem(
            f"log/{path.name}",
            "It is named like a segment, but neither its name nor its header says where it begins.",
            "If it was a segment, its place in the log is not known.",
            "Repair sets it aside.",
        )
    if not state.segments:
        yield problem(
            "log",
            "There is no segment in it; a folder that was served has one at least.",
            "What was acknowledged and is not in the table is gone; how much can't be known.",
            "Restore a backup, or go on without: repair begins a new log behind the table.",
        )
        return
    for segment in state.segments:
        yield from _segment_findings(segment)
    yield from _chain_findings(state, covered)
    yield from _end_findings(state, covered, queued)


def _segment_findings(segment: Segment) -> Iterator[Finding]:
    where = f"log/{segment.path.name}"
    if segment_name(segment.base) != segment.path.name:
        yield problem(
            where,
            f"Its header says that it begins at position {segment.base}; its name does not.",
            "It was renamed; a server does not start with it.",
            SALVAGE,
        )
    for stretch in segment.damaged:
        size = f"{counted(stretch.end - stretch.start, 'byte')} from byte {stretch.start} on"
        if segment.is_covered:
            yield note(
                where,
                f"It is damaged: {size}.",
                "The table has all of this segment; the next start removes it.",
            )
        else:
            yield problem(
                where,
                f"It is damaged: {size} are no whole record, in data that may have been"
                " acknowledged.",
                "A server does not start with it. The messages that these bytes held are lost,"
                " unless the table has them; those in front of them and behind them are whole.",
                SALVAGE,
            )
    if segment.torn_bytes:
        yield note(
            where,
            f"Its last {counted(segment.torn_bytes, 'byte')} are unfinished, from a crash.",
            "Nobody was told that they are durable; the next start cuts them off.",
        )


def _chain_findings(state: LogState, covered: int) -> Iterator[Finding]:
    needed = state.needed
    if needed[0].base > covered:
        yield problem(
            f"log/{needed[0].path.name}",
            f"The log begins at position {needed[0].base}, but the table has what is before"
            f" {covered} only.",
            "A segment is missing, or the table lost its last commits. Between these positions"
            " messages are lost, unless files that no commit names have them.",
            SALVAGE,
        )
    for before, segment in pairwise(needed):
        whole_end = max(before.end, before.base + max(0, before.size_bytes - HEADER_BYTES))
        if segment.base != whole_end:
            yield problem(
                f"log/{segment.path.name}",
                f"It begins at position {segment.base}, but the segment before it ends at"
                f" {whole_end}.",
                "A segment, or the end of one, is missing: the messages in between are lost.",
                SALVAGE,
            )


def _end_findings(state: LogState, covered: int, queued: int) -> Iterator[Finding]:
    where = f"log/{state.segments[-1].path.name}"
    if state.end < state.closed:
        yield problem(
            where,
            f"The log was closed at position {state.closed}, but its last whole record ends at"
            f" {state.end}.",
            "The end of the log is missing or damaged; or the note of it is, and nothing is lost.",
            SALVAGE,
        )
    if state.end < covered:
        yield problem(
            where,
            f"The log ends at position {state.end}, but the table has everything up to {covered}.",
            "The end of the log is missing, or the log is older than the table. What was"
            " acknowledged behind that end and is not in the table is lost; it may be nothing.",
            SALVAGE,
        )
    if max(state.end, covered) < queued:
        yield Finding(
            Level.PROBLEM,
            where,
            f"The error queue has a message of position {queued}, but log and table end at"
            f" {max(state.end, covered)}.",
            "The end of the log is missing, or it was moved away, or the catalog is newer than"
            " log and table. New messages that do not fit would be taken for those of the same"
            " position, and not be kept.",
            SALVAGE,
        )
