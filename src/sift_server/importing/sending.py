"""Sends the rows of a file, batch by batch, each acknowledged before the next."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sift_files import OnError, read
from sift_server.importing.ahead import read_ahead
from sift_server.importing.config import text_flow

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sift_files import BadCell, Batch, FilePlan, OnBadCell
    from sift_py.ingestion.service import IngestionService
    from sift_server.importing.notes import ImportNote

__all__ = ["FileImport", "Imported"]


@dataclass(slots=True)
class Imported:
    """What was imported of a file.

    Attributes:
        rows: Rows that were read, with those that were acknowledged in an earlier import.
        rows_before: How many those were.
        points: Values that were sent.
        bad_cells: Cells that were left out, or kept as text.
        bad_rows: Rows that were left out.
    """

    rows: int = 0
    rows_before: int = 0
    points: int = 0
    bad_cells: int = 0
    bad_rows: int = 0


class FileImport:
    """The import of one file by a plan.

    Args:
        path: The file.
        plan: What is in it; its tables are flows of the service.
        service: Sends, with the run attached.
        note: How far it is acknowledged.
        on_error: What to do with cells that do not fit.
    """

    def __init__(
        self,
        path: Path,
        plan: FilePlan,
        service: IngestionService,
        note: ImportNote,
        on_error: OnError = OnError.STOP,
    ) -> None:
        self._path = path
        self._plan = plan
        self._service = service
        self._note = note
        self._on_error = on_error
        self._text_flows: set[str] = set()
        self.done = Imported()

    def run(
        self,
        *,
        goes_on: bool = True,
        on_rows: Callable[[int], object] | None = None,
        on_bad_cell: OnBadCell | None = None,
    ) -> Imported:
        """Send all that is not acknowledged yet.

        What was acknowledged until an error is noted; `done` says how much it is.

        Args:
            goes_on: Whether to go on behind what an earlier import had acknowledged.
            on_rows: Is told how many more rows are acknowledged.
            on_bad_cell: Is told of each cell that is left out or kept as text.

        Raises:
            FilesError: The file can't be read, or a cell does not fit and it is to stop.
            SiftError: A value does not fit its channel.
            grpc.RpcError: The stream failed.
        """
        done = self.done

        def bad(cell: BadCell) -> None:
            if cell.is_row:
                done.bad_rows += 1
            else:
                done.bad_cells += 1
            if on_bad_cell is not None:
                on_bad_cell(cell)

        place, done.rows = self._note.read() if goes_on else (0, 0)
        done.rows_before = done.rows
        if on_rows is not None and done.rows:
            on_rows(done.rows)
        batches = read_ahead(
            read(self._path, self._plan, start=place, on_error=self._on_error, on_bad_cell=bad)
        )
        with closing(batches):
            try:
                for batch in batches:
                    self._send(batch)
                    done.rows += batch.rows_read
                    place = batch.place
                    self._note.write(place, done.rows)
                    if on_rows is not None:
                        on_rows(batch.rows_read)
            except BaseException:
                if place:
                    self._note.write(place, done.rows, at_once=True)
                raise
        self._note.write(place, done.rows, at_once=True)
        return done

    def _send(self, batch: Batch) -> None:
        if len(batch.times_ns):
            self._service.ingest_columns(batch.table, batch.times_ns, batch.columns)
            self.done.points += sum(
                len(values) - getattr(values, "null_count", 0) for values in batch.columns.values()
            )
        by_channel: dict[str, list[tuple[int, str]]] = {}
        for kept in batch.kept:
            by_channel.setdefault(kept.channel, []).append((kept.time_ns, kept.text))
        for channel, texts in by_channel.items():
            flow = text_flow(channel)
            if flow.name not in self._text_flows:
                self._service.create_flow(flow)
                self._text_flows.add(flow.name)
            self._service.ingest_columns(
                flow.name, [time for time, _ in texts], {flow.name: [text for _, text in texts]}
            )
            self.done.points += len(texts)
