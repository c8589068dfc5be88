"""The folder that a server keeps everything in: one process at a time.

```text
DIR/
    format            version of this layout, a number
    lock              held by the process that serves the folder; its pid is in it
    address           URI of the server that holds the lock; gone when it stops
    api_key           the key that is good for everything, mode 0600
    catalog.sqlite    assets, ingestion configs, channels, runs, rules, API keys as hashes, the
                      error queue
    keys              idempotency keys of batches that were acknowledged, the last 65,536
    log/              the ingest log: what was acknowledged and is not in the table yet
    lake/             the Delta table of points
    uploads/          files that wait for their import, or may be retried
    exports/          files that clients asked for, for a day
    damaged/          what a repair set aside, if there was one
    repairing         there while a repair is under way
```
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMAT_VERSION = 1

_ADDRESS = "address"


class DataDirectoryError(RuntimeError):
    """A folder can't be served; says why and what to do."""


class DataDirectoryInUseError(DataDirectoryError):
    """Another process serves the folder."""


def served_uri(path: Path) -> str | None:
    """URI of the server of a folder, if there is one that is ready.

    It is good for a folder whose lock is held: what a killed server left says nothing.
    """
    try:
        return (path / _ADDRESS).read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def api_key_path(path: Path) -> Path:
    """Where the key of a folder is that is good for everything."""
    return path / "api_key"


def catalog_path(path: Path) -> Path:
    """Where the catalog of a folder is, whoever serves it."""
    return path / "catalog.sqlite"


class DataDirectory:
    """A folder, locked for this process until it is closed.

    The lock is the system's: it ends with the process, however that ends, and a lock file that is
    left behind means nothing.
    """

    def __init__(self, path: Path, lock: int) -> None:
        self._lock = lock
        self._address_path = path / _ADDRESS
        self.api_key_path = api_key_path(path)
        self.catalog_path = catalog_path(path)
        self.keys_path = path / "keys"
        self.log_path = path / "log"
        self.lake_path = path / "lake"
        self.uploads_path = path / "uploads"
        self.exports_path = path / "exports"

    @classmethod
    def open(cls, path: Path) -> Self:
        """Make the folder if it is missing, and lock it.

        Raises:
            DataDirectoryInUseError: Another process serves it; says which.
            DataDirectoryError: It can't be made, or was made by a later version.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
            lock = _lock(path)
        except FileExistsError:
            raise DataDirectoryError(f"{path} is a file, not a folder: name another one") from None
        except OSError as error:
            raise DataDirectoryError(
                f"the data folder {path} can't be used: {error.strerror}"
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode("ascii"), 0)
        directory = cls(path, lock)
        try:
            directory._address_path.unlink(missing_ok=True)
            directory._check_format(path / "format")
        except BaseException:
            directory.close()
            raise
        return directory

    def _check_format(self, path: Path) -> None:
        try:
            text = path.read_text(encoding="ascii", errors="replace").strip()
        except FileNotFoundError:
            path.write_text(f"{FORMAT_VERSION}\n", encoding="ascii")
            return
        if text != str(FORMAT_VERSION):
            raise DataDirectoryError(
                f"the data folder {path.parent} has format {text!r}; this version of the server"
                f" reads format {FORMAT_VERSION}. Use the version that made it."
            )

    def tell_uri(self, uri: str) -> None:
        """Say where the server of the folder is, for programs that only know the folder."""
        partial = self._address_path.with_suffix(".new")
        partial.write_text(f"{uri}\n", encoding="utf-8")
        partial.rename(self._address_path)

    def close(self) -> None:
        """Release the folder."""
        if self._lock >= 0:
            self._address_path.unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Keep others from serving a folder for as long as the with-block lasts; change nothing in it.

    Raises:
        DataDirectoryInUseError: Another process serves it; says which.
        OSError: It can't be used.
    """
    lock = _lock(path)
    try:
        yield
    finally:
        os.close(lock)


def _lock(path: Path) -> int:
    lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(lock, 20, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        raise DataDirectoryInUseError(
            f"the data folder {path} is served by another process (pid {pid}). Stop that one,"
            " connect to it instead, or use another folder."
        ) from None
    return lock
