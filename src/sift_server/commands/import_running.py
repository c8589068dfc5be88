"""One file of `sift import` on its way to a server, with a bar, and told what happened."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import typer

from sift_files import FilesError
from sift_py.ingestion.service import IngestionService
from sift_server.commands.connection import FAILED, end
from sift_server.commands.progress import progress_bar
from sift_server.doctor.findings import counted
from sift_server.importing import FileImport, Imported, content_hash, telemetry_config

if TYPE_CHECKING:
    from pathlib import Path

    from sift_files import BadCell, FilePlan, OnError
    from sift_py.grpc.transport import SiftChannel
    from sift_server.importing import ImportNote, NoteFolder

__all__ = ["Importer", "result_line"]

BAD_CELLS_SHOWN_MAX = 100
"""How many cells of a file that do not fit are told one by one; all are counted."""


class Importer:
    """Imports files into an asset."""

    def __init__(
        self,
        command: str,
        channel: SiftChannel,
        asset: str,
        run: str,
        notes: NoteFolder,
        on_error: OnError,
    ) -> None:
        self._command = command
        self._channel = channel
        self._asset = asset
        self._run_name = run
        self._notes = notes
        self._on_error = on_error
        self._done: list[ImportNote] = []

    def run(self, path: Path, plan: FilePlan, *, goes_on: bool) -> dict[str, Any]:
        """Import a file; what goes wrong ends the command, after saying how far it came.

        Returns:
            What to tell a program.
        """
        began = time.perf_counter()
        if plan.rows == 0:
            return _result(path, Imported(), 0.0)
        service = IngestionService(self._channel, telemetry_config(self._asset, plan))
        if self._run_name:
            service.attach_run(self._channel, self._run_name)
        note = self._notes.note(
            content_hash(path),
            plan,
            service.ingestion_config.ingestion_config_id,
            service.run_id or "",
            self._on_error,
        )
        one = FileImport(path, plan, service, note, self._on_error)
        try:
            with progress_bar(f"Importing {path.name}", plan.rows, "rows") as advance:
                one.run(goes_on=goes_on, on_rows=advance, on_bad_cell=self._tell(one.done))
        except FilesError as error:
            end(self._command, f"{error}\n{self._how_far(path, one.done)}", FAILED)
        except BaseException:
            typer.echo(f"{self._command}: {self._how_far(path, one.done)}", err=True)
            raise
        self._done.append(note)
        self._tell_rest(path, one.done)
        return _result(path, one.done, time.perf_counter() - began)

    def forget(self) -> None:
        """All files are imported: nobody has to go on with them."""
        for note in self._done:
            note.remove()

    def _tell(self, done: Imported) -> Any:  # noqa: ANN401 (a function)
        def tell(cell: BadCell) -> None:
            if done.bad_cells + done.bad_rows <= BAD_CELLS_SHOWN_MAX:
                typer.echo(f"{self._command}: {cell}", err=True)

        return tell

    def _tell_rest(self, path: Path, done: Imported) -> None:
        if (bad := done.bad_cells + done.bad_rows) > BAD_CELLS_SHOWN_MAX:
            typer.echo(
                f"{self._command}: {path}: {bad:,} cells and rows did not fit in all", err=True
            )

    def _how_far(self, path: Path, done: Imported) -> str:
        if not done.rows:
            return f"{path}: no rows were acknowledged"
        return f"{path}: {done.rows:,} rows were acknowledged; the same command goes on behind them"


def result_line(one: dict[str, Any]) -> str:
    """What became of a file, for a person."""
    before = f", {one['rows_before']:,} of them before" if one["rows_before"] else ""
    bad = [
        f"{counted(one[f'bad_{what}s'], what)} did not fit"
        for what in ("cell", "row")
        if one[f"bad_{what}s"]
    ]
    words = [counted(one["rows"], "row") + before, counted(one["points"], "point"), *bad]
    return f"{one['file']}: {', '.join(words)}, in {one['seconds']:.1f} s"


def _result(path: Path, done: Imported, seconds: float) -> dict[str, Any]:
    return {
        "file": str(path),
        "rows": done.rows,
        "rows_before": done.rows_before,
        "points": done.points,
        "bad_cells": done.bad_cells,
        "bad_rows": done.bad_rows,
        "seconds": round(seconds, 3),
    }
