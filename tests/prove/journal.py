"""What a writer was told: a file that is on disk before the writer goes on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Journal:
    """Lines of a word and a text: `rows 120`, `run NAME`, `misfit NAME`. Used by one thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def note(self, *entries: tuple[str, str]) -> None:
        """Add lines; on disk when this returns."""
        os.write(self._file, "".join(f"{word} {text}\n" for word, text in entries).encode())
        os.fsync(self._file)

    def rows(self) -> int:
        """Rows that were acknowledged."""
        return max(map(int, self.texts("rows")), default=0)

    def texts(self, word: str) -> list[str]:
        """Texts of all lines of a word."""
        lines = [line.partition(" ") for line in self._path.read_text().splitlines()]
        return [text for first, _, text in lines if first == word]

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)
