"""Bins of data files, in files beside the table.

    lake/_overview/NAME.arrow        of a file NAME.parquet, as `FileBins.to_table` gives them

They are a cache: each can be made anew from its data file, and whoever finds none reads that. So
the folder may be deleted at any time. They are Arrow IPC files, not compressed, and are mapped into
memory: of a file only those bins are read that are needed. A file is on disk before it has its
name, so that there is no torn one, and says how many bytes its data file has.
"""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from sift_server.lake.delta_log import sync_folder
from sift_server.lake.overview import BIN_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from sift_server.lake.files import DataFile
    from sift_server.lake.overview import FileBins

FOLDER = "_overview"
"""Readers of Delta tables leave out what begins like this."""

_DATA_BYTES = b"sift.data_bytes"


class BinRow(NamedTuple):
    """The bins of a channel and run in a file that are of one width.

    Attributes:
        shift: Logarithm of the width to the base of two.
        columns: int64, `BIN_COLUMNS`, of memory that is a mapped file.
    """

    shift: int
    columns: tuple[NDArray[np.int64], ...]


class OverviewFiles:
    """The folder. Safe from many threads."""

    def __init__(self, table_path: Path) -> None:
        self._folder = table_path / FOLDER

    def write(self, data_path: Path, data_bytes: int, bins: FileBins) -> None:
        """Keep the bins of a data file.

        Raises:
            OSError: They can't be written; there is no file then.
        """
        table = bins.to_table().replace_schema_metadata({_DATA_BYTES: str(data_bytes)})
        path = self._path(data_path)
        waiting = path.with_suffix(".tmp")
        self._folder.mkdir(exist_ok=True)
        try:
            with waiting.open("wb") as file:
                with pa.ipc.new_file(file, table.schema) as writer:
                    writer.write_table(table)
                file.flush()
                os.fsync(file.fileno())
            waiting.rename(path)
        finally:
            waiting.unlink(missing_ok=True)
        sync_folder(self._folder)

    def read(
        self, file: DataFile, channel_id: str, run_id: str | None, shift_max: int
    ) -> list[BinRow] | None:
        """The widest bins of a channel that are no wider than `shift_max` says.

        Args:
            file: The data file.
            channel_id: The channel.
            run_id: The run, or None for all of them.
            shift_max: Logarithm of the width.

        Returns:
            Bins of each run, or None if the data file has to be read: the channel has no bins, or
            none that are so narrow.
        """
        try:
            with pa.memory_map(str(self._path(file.path))) as source:
                opened = pa.ipc.open_file(source)
                if not opened.num_record_batches:
                    return None
                batch = opened.get_batch(0)
                batch.validate(full=True)
        except (OSError, pa.ArrowInvalid):
            return None
        if batch.schema.metadata.get(_DATA_BYTES) != str(file.size_bytes).encode():
            return None
        ids = batch["channel_id"]
        places = range(len(ids))
        first = bisect_left(places, channel_id, key=lambda place: ids[place].as_py())
        last = bisect_right(places, channel_id, lo=first, key=lambda place: ids[place].as_py())
        if first == last:
            return None
        runs = batch["run_id"].slice(first, last - first).to_pylist()
        shifts = batch["shift"].slice(first, last - first).to_pylist()
        chosen: dict[str, tuple[int, int]] = {}
        for place, (run, shift) in enumerate(zip(runs, shifts, strict=True), first):
            if run_id not in (None, run):
                continue
            if shift <= shift_max:
                chosen[run] = (place, shift)
            elif run not in chosen:
                return None
        return [BinRow(shift, _columns(batch, place)) for place, shift in chosen.values()]

    def lacking(self, files: Sequence[DataFile]) -> list[DataFile]:
        """Files that have no bins beside them."""
        there = self._names(".arrow")
        return [file for file in files if file.path.stem not in there]

    def forget(self, data_paths: Iterable[Path]) -> None:
        """Remove the bins of data files that are gone.

        Raises:
            OSError: A file can't be removed.
        """
        for path in data_paths:
            self._path(path).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove the bins of data files that are gone without anybody having said so.

        Raises:
            OSError: A file can't be removed.
        """
        # In this order: a data file is there before its bins are.
        names = self._names(".arrow") | self._names(".tmp")
        data = {path.stem for path in self._folder.parent.glob("*/*.parquet")} if names else set()
        for name in names - data:
            for suffix in (".arrow", ".tmp"):
                (self._folder / f"{name}{suffix}").unlink(missing_ok=True)

    def _names(self, suffix: str) -> set[str]:
        return {path.stem for path in self._folder.glob(f"*{suffix}")}

    def _path(self, data_path: Path) -> Path:
        return self._folder / f"{data_path.stem}.arrow"


def _columns(batch: Any, place: int) -> tuple[NDArray[np.int64], ...]:  # noqa: ANN401 (pyarrow has no types)
    return tuple(batch[name][place].values.to_numpy() for name in BIN_COLUMNS)
