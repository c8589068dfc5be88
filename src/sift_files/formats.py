"""Which reader a file is for."""

from __future__ import annotations

import importlib
import zipfile
from typing import TYPE_CHECKING, Any

from sift_files.batch import OnError
from sift_files.corrections import Corrections, corrected
from sift_files.errors import MissingLibraryError, UnreadableFileError
from sift_files.hints import NO_HINTS
from sift_files.plan import FileFormat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sift_files.batch import Batch, OnBadCell
    from sift_files.hints import Hints
    from sift_files.plan import FilePlan

__all__ = ["detect", "format_of", "read"]

_MAGIC = (
    (0, b"PAR1", FileFormat.PARQUET),
    (0, b"\x89HDF\r\n\x1a\n", FileFormat.HDF5),
    (0, b"TDSm", FileFormat.TDMS),
    (0, b"ULog\x01\x12\x35", FileFormat.ULOG),
    (0, b"\x89MCAP0\r\n", FileFormat.MCAP),
    (0, b"#ROSBAG V", FileFormat.ROSBAG),
    (0, b"SQLite format 3\0", FileFormat.ROSBAG),
)
_SUFFIXES = {
    ".parquet": FileFormat.PARQUET,
    ".pq": FileFormat.PARQUET,
    ".h5": FileFormat.HDF5,
    ".hdf5": FileFormat.HDF5,
    ".hdf": FileFormat.HDF5,
    ".tdms": FileFormat.TDMS,
    ".ulg": FileFormat.ULOG,
    ".ulog": FileFormat.ULOG,
    ".mcap": FileFormat.MCAP,
    ".bag": FileFormat.ROSBAG,
    ".db3": FileFormat.ROSBAG,
}
_MODULES = {
    FileFormat.CSV: ("sift_files.csv", "csv", ("pyarrow",)),
    FileFormat.PARQUET: ("sift_files.parquet", "parquet", ("pyarrow",)),
    FileFormat.HDF5: ("sift_files.hdf5", "hdf5", ("pyarrow", "h5py")),
    FileFormat.TDMS: ("sift_files.tdms", "tdms", ("pyarrow", "nptdms")),
    FileFormat.ULOG: ("sift_files.ulog", "ulog", ("pyarrow", "pyulog")),
    FileFormat.MCAP: ("sift_files.mcap", "mcap", ("pyarrow", "mcap", "mcap_protobuf", "mcap_ros2")),
    FileFormat.ROSBAG: ("sift_files.rosbag", "rosbag", ("pyarrow", "rosbags")),
}
_MAGIC_BYTES = 16
_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""Of documents of Office before 2007."""


def format_of(path: Path) -> FileFormat:
    """The format of a file, by its first bytes; of a folder, a bag of ROS 2.

    Raises:
        UnreadableFileError: It is a folder that is no bag, or what its name says it is not.
        OSError: It can't be read.
    """
    if path.is_dir():
        if (path / "metadata.yaml").is_file():
            return FileFormat.ROSBAG
        raise UnreadableFileError(f"{path} is a folder; name the files in it")
    with path.open("rb") as file:
        head = file.read(_MAGIC_BYTES)
    for at, magic, file_format in _MAGIC:
        if head[at : at + len(magic)] == magic:
            return file_format
    if (other := _other_format(path, head)) is not None:
        raise UnreadableFileError(f"{path} is {other}")
    named = _SUFFIXES.get(path.suffix.lower())
    if named is not None:
        raise UnreadableFileError(
            f"{path} is no {named.value} file, as its name says: it does not begin like one"
        )
    return FileFormat.CSV


def _other_format(path: Path, head: bytes) -> str | None:
    """What a file is that is often taken for one of text, and what to do about it."""
    workbook = "an Excel workbook, whatever its name says: save the sheet as CSV, and import that"
    if head.startswith(_OLE):
        return workbook
    if not head.startswith(_ZIP):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError):
        return "a damaged ZIP archive, or a workbook that is damaged"
    if any(name.startswith("xl/") for name in names):
        return workbook
    return "a ZIP archive: unpack it, and import the files in it"


def detect(
    path: Path,
    hints: Hints = NO_HINTS,
    on_bytes: Callable[[int], object] | None = None,
) -> FilePlan:
    """Find out what is in a file.

    Args:
        path: The file.
        hints: What is known of it.
        on_bytes: Is told how much more of a CSV file was looked at.

    Raises:
        UnreadableFileError: The file is damaged, or of no format that is read.
        PlanError: The file has no such columns as the hints name.
        MissingLibraryError: The library of its format is not installed.
        OSError: It can't be read.
    """
    file_format = format_of(path)
    module = _module(file_format)
    if file_format is FileFormat.CSV:
        plan: FilePlan = module.detect_csv(path, hints, on_bytes)
    else:
        plan = getattr(module, f"detect_{file_format.value}")(path, hints)
        plan = corrected(plan, Corrections(types=hints.types))
    return plan


def read(
    path: Path,
    plan: FilePlan,
    *,
    start: int = 0,
    on_error: OnError = OnError.STOP,
    on_bad_cell: OnBadCell | None = None,
) -> Iterator[Batch]:
    """Read the tables of a file, some rows at a time.

    Args:
        path: The file.
        plan: What is in it.
        start: `place` of a batch, to go on behind it.
        on_error: What to do with cells that do not fit.
        on_bad_cell: Is told of each of them that does not stop the reading.

    Raises:
        PlanError: The plan lacks times, or what they count from; or does not fit the file.
        BadCellError: A cell does not fit, and `on_error` is to stop.
        UnreadableFileError: The file is damaged.
        MissingLibraryError: The library of its format is not installed.
        OSError: It can't be read.
    """
    module = _module(plan.format)
    reader: Iterator[Batch] = getattr(module, f"read_{plan.format.value}")(
        path, plan, start, on_error, on_bad_cell
    )
    return reader


def _module(file_format: FileFormat) -> Any:  # noqa: ANN401 (a module)
    name, extra, libraries = _MODULES[file_format]
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in {*libraries, "numpy"}:
            raise
        raise MissingLibraryError(
            f"{file_format.value} files need {error.name}: pip install 'sift-py[{extra}]'"
        ) from None
