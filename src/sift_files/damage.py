"""What libraries of formats raise at damaged files, as one error that names the file."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sift_files.errors import FilesError, UnreadableFileError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["told_as_damage"]


@contextmanager
def told_as_damage(path: Path, what: str) -> Iterator[None]:
    """Raise `UnreadableFileError` for whatever a library raises.

    They raise anything at bytes that they do not expect: an index, a key, a struct. Errors of the
    system, such as a missing permission, stay what they are.
    """
    try:
        yield
    except (FilesError, MemoryError, ImportError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        words = str(error).strip() or type(error).__name__
        raise UnreadableFileError(f"{path} is damaged, or no {what} file: {words}") from error
