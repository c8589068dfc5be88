"""The folder of files that wait for their import. Each has the id of the import for its name.

A file is written under another name, synced, and renamed when all of it is there, so that a name
without suffix says that the file is whole. What clients call their files plays no part.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
import zlib
from typing import TYPE_CHECKING

from sift_server.errors import (
    DiskFullError,
    FailedPreconditionError,
    InvalidArgumentError,
    ResourceExhaustedError,
    is_disk_full,
)

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path
    from typing import Self

    from sift_server.imports.limits import ImportLimits

_PARTIAL = ".part"
_GZIP_WINDOW_BITS = 16 + zlib.MAX_WBITS
_INFLATED_AT_ONCE_BYTES = 1024 * 1024


class UploadFolder:
    """The files, and how much room they take. Safe from many threads."""

    def __init__(self, path: Path, limits: ImportLimits) -> None:
        """Take the folder; it is made when the first file comes."""
        self.path = path
        self.limits = limits
        self._lock = threading.Lock()
        self._under_way: set[str] = set()
        self._bytes = sum(file.stat().st_size for file in self._files())

    def path_of(self, data_import_id: str) -> Path:
        """Where the file of an import is, once it is there. The id is one of the catalog."""
        return self.path / data_import_id

    def begin(self, data_import_id: str, *, is_gzip: bool = False) -> Upload:
        """Begin to write the file of an import.

        Args:
            data_import_id: Its id, which is one of the catalog.
            is_gzip: Whether what comes is to be inflated.

        Raises:
            FailedPreconditionError: Somebody else is at it.
            ResourceExhaustedError: Too many uploads are under way.
            DiskFullError: The disk is full.
        """
        with self._lock:
            if data_import_id in self._under_way:
                raise FailedPreconditionError(
                    f"the file of the data import {data_import_id!r} is on its way already, in"
                    " another call; wait for the end of that one"
                )
            if len(self._under_way) >= self.limits.uploads_at_once_max:
                raise ResourceExhaustedError(
                    f"uploads_at_once_max = {self.limits.uploads_at_once_max} uploads are under"
                    " way, which is the limit; try again when one is done"
                )
            self._under_way.add(data_import_id)
        try:
            self.path.mkdir(exist_ok=True)
            return Upload(self, data_import_id, is_gzip=is_gzip)
        except OSError as error:
            self._end(data_import_id, 0)
            raise _full(error) from None

    def remove(self, data_import_id: str) -> None:
        """Remove the file of an import, if there is one."""
        path = self.path_of(data_import_id)
        try:
            size = path.stat().st_size
            path.unlink()
        except FileNotFoundError:
            return
        self._give_back(size)

    def sweep(self, needed: Collection[str]) -> None:
        """Remove files that no import needs, and what is left of uploads that broke off."""
        for file in self._files():
            name = file.name.removesuffix(_PARTIAL)
            with self._lock:
                is_idle = name not in self._under_way
            if is_idle and (file.name != name or name not in needed):
                self._give_back(file.stat().st_size)
                file.unlink()

    def _files(self) -> list[Path]:
        return list(self.path.iterdir()) if self.path.is_dir() else []

    # What uploads call

    def _take(self, count: int) -> None:
        with self._lock:
            if self._bytes + count > self.limits.uploads_bytes_max:
                raise ResourceExhaustedError(
                    "files that wait for their import take"
                    f" uploads_bytes_max = {self.limits.uploads_bytes_max:,} bytes, which is the"
                    " limit; try again when some are done"
                )
            self._bytes += count
        if shutil.disk_usage(self.path).free < self.limits.disk_reserve_bytes + count:
            self._give_back(count)
            raise DiskFullError(
                "the disk has no room for files to import: uploads leave"
                f" {self.limits.disk_reserve_bytes:,} bytes of it free for the log. Free some"
                " space, and send the file again"
            )

    def _give_back(self, count: int) -> None:
        with self._lock:
            self._bytes -= count

    def _end(self, data_import_id: str, given_back: int) -> None:
        with self._lock:
            self._under_way.discard(data_import_id)
            self._bytes -= given_back


class Upload:
    """A file on its way in. One thread at a time; ended by leaving its with-block."""

    def __init__(self, folder: UploadFolder, data_import_id: str, *, is_gzip: bool) -> None:
        self._folder = folder
        self._id = data_import_id
        self._path = folder.path_of(data_import_id)
        self._partial = self._path.with_name(self._path.name + _PARTIAL)
        self._file = self._partial.open("wb")
        self._hash = hashlib.sha256()
        self._inflater = zlib.decompressobj(_GZIP_WINDOW_BITS) if is_gzip else None
        self._is_kept = False
        self.size = 0
        """Bytes so far, inflated."""

    def write(self, data: bytes) -> None:
        """Take some more of the file.

        Raises:
            ResourceExhaustedError: It is too large, or there is no room for it.
            DiskFullError: The disk is full.
            InvalidArgumentError: It is not gzip.
        """
        if self._inflater is None:
            self._write(data)
            return
        while data:
            if self._inflater.eof:
                # A file of gzip may have several parts, one behind the other.
                self._inflater = zlib.decompressobj(_GZIP_WINDOW_BITS)
            try:
                inflated = self._inflater.decompress(data, _INFLATED_AT_ONCE_BYTES)
            except zlib.error as error:
                raise InvalidArgumentError(
                    f"the file is said to be gzip by its content-encoding, and is not: {error}"
                ) from None
            self._write(inflated)
            data = self._inflater.unconsumed_tail or self._inflater.unused_data

    def digest(self) -> bytes:
        """Say that all of it came; returns its SHA-256.

        Raises:
            InvalidArgumentError: There is nothing in it, or it ends in the middle of gzip.
        """
        if self._inflater is not None and not self._inflater.eof:
            raise InvalidArgumentError(
                f"the file ends in the middle of its gzip, {self.size:,} bytes into what it"
                " inflates to"
            )
        if not self.size:
            raise InvalidArgumentError("the file is empty; send its content as the body")
        return self._hash.digest()

    def keep(self) -> None:
        """Give the file its name; it is on disk then.

        Raises:
            DiskFullError: The disk is full.
        """
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._partial.rename(self._path)
            _sync_folder(self._path.parent)
        except OSError as error:
            raise _full(error) from None
        self._is_kept = True

    def discard(self) -> None:
        """Remove the file again, also one that is finished."""
        self._file.close()
        self._partial.unlink(missing_ok=True)
        if self._is_kept:
            self._path.unlink(missing_ok=True)
            self._is_kept = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if not self._is_kept:
            self.discard()
        self._folder._end(self._id, 0 if self._is_kept else self.size)  # noqa: SLF001 (its file)

    def _write(self, data: bytes) -> None:
        if self.size + len(data) > self._folder.limits.upload_bytes_max:
            raise ResourceExhaustedError(
                "the file is larger than upload_bytes_max ="
                f" {self._folder.limits.upload_bytes_max:,} bytes; import it in parts"
            )
        self._folder._take(len(data))  # noqa: SLF001 (its file)
        self.size += len(data)
        try:
            self._file.write(data)
        except OSError as error:
            raise _full(error) from None
        self._hash.update(data)


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _full(error: OSError) -> Exception:
    if is_disk_full(error):
        return DiskFullError(
            "the disk is full; nothing of the file was kept. Free some space, and send it again"
        )
    return error
