"""Writes the files of an export, span by span."""

from __future__ import annotations

import zipfile
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sift_files.writers import WrittenFormat, writing
from sift_py.data._finding import Asked
from sift_py.data.iteration import iter_asked
from sift_py.data.reading import request_between
from sift_py.data.readings import ChannelReadings, Readings
from sift_server.job_worker import JobStoppedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sift_py.data.iteration import Pieces
    from sift_server.exports.plan import ExportPlan, PlannedFile

_SUFFIXES = {WrittenFormat.CSV: ".csv", WrittenFormat.PARQUET: ".parquet"}


class ExportStoppedError(JobStoppedError):
    """An export is to end before it is complete."""


@dataclass(frozen=True)
class ExportWriting:
    """Writes a plan's files.

    Attributes:
        pieces: Where points come from.
        batch_points: Points that are in memory at a time, about.
        on_span: Is told of each span that was written; may raise, to end it.
    """

    pieces: Pieces
    batch_points: int
    on_span: Callable[[], None]

    def write(self, plan: ExportPlan, folder: Path) -> Path:
        """Write a plan's files into a folder; several become one archive. Gives the file.

        Raises:
            FilesError: The format has no room for something.
            ServerError: Points can't be read.
        """
        made = []
        for file in plan.files:
            path = folder / f"{file.name}{_SUFFIXES[plan.file_format]}"
            self._write_file(plan, file, path)
            made.append(path)
        if len(made) == 1:
            return made[0]
        archive = folder / "export.zip"
        # Parquet is compressed already.
        is_text = plan.file_format is WrittenFormat.CSV
        compression = zipfile.ZIP_DEFLATED if is_text else zipfile.ZIP_STORED
        with zipfile.ZipFile(archive, "w", compression, compresslevel=1) as target:
            for path in made:
                target.write(path, path.name)
                path.unlink()
                self.on_span()
        return archive

    def _write_file(self, plan: ExportPlan, file: PlannedFile, path: Path) -> None:
        spans = self._spans(plan, file)
        first = next(spans, Readings([]))
        with writing(path, plan.file_format, first.to_arrow().schema) as writer:
            writer.write(first.to_arrow())
            del first
            for readings in spans:
                self.on_span()
                writer.write(readings.to_arrow())
        self.on_span()

    def _spans(self, plan: ExportPlan, file: PlannedFile) -> Iterator[Readings]:
        units = {each.name: each.unit for each in file.columns}
        asked = [Asked(each.name, query) for each in file.columns for query in each.queries]
        spans = iter_asked(
            self.pieces,
            request_between(plan.start_ns, plan.end_ns, 0),
            asked,
            self.batch_points,
            has_runs=False,
        )
        return (_columns(readings, units) for readings in spans)


def _columns(readings: Readings, units: dict[str, str]) -> Readings:
    """One series for each column, whatever runs its points are of."""
    by_name: dict[str, list[ChannelReadings]] = {}
    for each in readings:
        by_name.setdefault(each.name, []).append(each)
    found = []
    for mine in by_name.values():
        one = mine[0] if len(mine) == 1 else _joined(mine)
        unit = one.unit
        with suppress(KeyError):
            unit = one.unit or units[one.name]
        found.append(replace(one, run="", run_id="", unit=unit))
    return Readings(found, has_runs=False)


def _joined(several: list[ChannelReadings]) -> ChannelReadings:
    """Points of several runs, sorted by time; what is the same in several is there once each."""
    times = _together([each.times for each in several])
    values = _together([each.values for each in several])
    order = pa.array(np.argsort(times.cast(pa.int64()).to_numpy(), kind="stable"))
    return replace(several[0], times=times.take(order), values=values.take(order))


def _together(columns: list[Any]) -> Any:  # noqa: ANN401 (of Arrow)
    chunks = [chunk for column in columns for chunk in column.chunks]
    return pa.chunked_array(chunks, type=columns[0].type)
