"""A catalog to look at and to mend: a copy, so that the one of the folder stays as it is.

To open a SQLite file changes it: what a crash left in the file beside it, the write-ahead log, is
moved into it. An examination must not do that.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

WAL_SUFFIX = "-wal"
BESIDE_SUFFIXES = (WAL_SUFFIX, "-shm")
"""What SQLite keeps beside a file; only the first has data."""


@contextmanager
def copied_catalog(path: Path, inside: Path | None = None) -> Iterator[Path]:
    """Give a copy of a catalog that nobody writes to, for as long as the with-block lasts.

    Args:
        path: The catalog; if it is missing, the copy is as well.
        inside: Folder to make the copy in; one for temporary files if None.

    Raises:
        OSError: It can't be read, or there is no room for the copy.
    """
    with tempfile.TemporaryDirectory(prefix="sift-catalog-", dir=inside) as folder:
        copy = Path(folder) / path.name
        for suffix in ("", WAL_SUFFIX):
            part = path.with_name(path.name + suffix)
            if part.exists():
                shutil.copyfile(part, copy.with_name(copy.name + suffix))
        yield copy
