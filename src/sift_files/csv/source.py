"""The text of a file as UTF-8 bytes, whatever its encoding and compression."""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from sift_files.errors import UnreadableFileError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["TextSource", "head_of", "open_text", "text_encoding"]

HEAD_BYTES = 1024 * 1024
"""How much is looked at to find out how a file is written."""

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UTF_8 = frozenset({"utf-8", "ascii"})


class TextSource(Protocol):
    """UTF-8 bytes, one after the other."""

    def read(self, size: int, /) -> bytes:
        """As many bytes, fewer only at the end; empty behind it.

        Raises:
            UnreadableFileError: The file is damaged, or not of the encoding.
        """


def head_of(path: Path) -> bytes:
    """The first bytes of a file, decompressed.

    Raises:
        UnreadableFileError: It is damaged.
        OSError: It can't be read.
    """
    with _open_bytes(path) as file:
        return _Bytes(path, file).read(HEAD_BYTES)


def text_encoding(path: Path, head: bytes) -> tuple[str, str]:
    """The encoding of a text, and a note if that is a guess.

    Raises:
        UnreadableFileError: It is no text.
    """
    for bom, encoding in _BOMS:
        if head.startswith(bom):
            return encoding, ""
    if b"\0" in head:
        for encoding, at in (("utf-16-le", 1), ("utf-16-be", 0)):
            if head[at::2].count(0) > len(head) // 4:
                return encoding, f"the text is taken for {encoding.upper()}"
        raise UnreadableFileError(f"{path} has zero bytes: it is no text, and so no CSV file")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "cp1252", "the text is not UTF-8 and is taken for Windows-1252 (--encoding)"
    return "utf-8", ""


@contextmanager
def open_text(path: Path, encoding: str) -> Iterator[TextSource]:
    """The text of a file, in bytes of UTF-8 behind the byte order mark.

    Raises:
        UnreadableFileError: There is no such encoding.
        OSError: It can't be read.
    """
    try:
        name = codecs.lookup(encoding).name
    except LookupError:
        raise UnreadableFileError(f"there is no encoding {encoding!r}") from None
    with _open_bytes(path) as file:
        raw = _Bytes(path, file)
        yield _WithoutMark(raw) if name in _UTF_8 else _Decoded(path, raw, name)


def _open_bytes(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        magic = file.read(6)
    if magic.startswith(b"\x1f\x8b"):
        return cast("BinaryIO", gzip.open(path, "rb"))
    if magic.startswith(b"BZh"):
        return cast("BinaryIO", bz2.open(path, "rb"))
    if magic.startswith(b"\xfd7zXZ\0"):
        return cast("BinaryIO", lzma.open(path, "rb"))
    return path.open("rb")


class _Bytes:
    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file

    def read(self, size: int, /) -> bytes:
        try:
            return self._file.read(size)
        except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
            raise UnreadableFileError(f"{self._path} is damaged or cut off: {error}") from None


class _WithoutMark:
    def __init__(self, source: TextSource) -> None:
        first = source.read(len(codecs.BOM_UTF8))
        self._rest = b"" if first == codecs.BOM_UTF8 else first
        self._source = source

    def read(self, size: int, /) -> bytes:
        rest, self._rest = self._rest[:size], self._rest[size:]
        return rest + self._source.read(size - len(rest)) if rest else self._source.read(size)


class _Decoded:
    def __init__(self, path: Path, source: TextSource, encoding: str) -> None:
        self._path = path
        self._source = source
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._waiting = bytearray()

    def read(self, size: int, /) -> bytes:
        while len(self._waiting) < size:
            data = self._source.read(size)
            try:
                text = self._decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                raise UnreadableFileError(
                    f"{self._path} is not {self._encoding}: {error.reason} (--encoding)"
                ) from None
            self._waiting += text.encode("utf-8", "surrogatepass")
            if not data:
                break
        taken = bytes(self._waiting[:size])
        del self._waiting[:size]
        return taken
