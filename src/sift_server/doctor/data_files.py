"""Which parts of a data file can be trusted, and what it says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from sift_server.lake.checksums import damaged_parts, parts_of
from sift_server.lake.schema import FILE_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from sift_server.lake.checksums import FilePart

_SUMMED_COLUMNS = ("channel_id", "timestamp_ns")


@dataclass(frozen=True, slots=True)
class FileHealth:
    """What can be read of a data file.

    Attributes:
        why: What is wrong with it, in words; empty if nothing is.
        row_groups: Numbers of the row groups that are whole.
        points: How many points these have.
        is_missing: Whether there is no such file.
    """

    why: str
    row_groups: tuple[int, ...] = ()
    points: int = 0
    is_missing: bool = False


def file_health(
    path: Path,
    size_bytes: int | None,
    points: int | None,
    parts: str,
    *,
    is_quick: bool,
    advance: Callable[[int], None] = lambda _: None,
) -> FileHealth:
    """Examine a file.

    With checksums, what is whole is what was written. Without, which is so for files of other
    programs and of versions before 0.1.0rc2, it is what can be decoded.

    Args:
        path: The file.
        size_bytes: What the table says of its size, if anything.
        points: What the table says of its points, if anything.
        parts: What the table says of its bytes, if anything.
        is_quick: Whether to look at sizes and footers only.
        advance: Told how many bytes were read.
    """
    try:
        expected = parts_of(parts)
    except ValueError:
        expected = ()
    try:
        size = path.stat().st_size
        wrong_parts = set() if is_quick else _wrong_parts(path, expected, advance)
        if len(expected) - 1 in wrong_parts:
            return FileHealth("its footer, which says what is where in it, is damaged")
        metadata = pq.read_metadata(path)
        unfit = _unfit(metadata.schema.to_arrow_schema())
    except FileNotFoundError:
        return FileHealth("it is missing", is_missing=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        return FileHealth(f"it can't be read ({_short(error)})")
    if unfit:
        return FileHealth(unfit)
    sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    whole = [number for number in range(len(sizes)) if number not in wrong_parts]
    if not expected and not is_quick:
        whole = _decoded(path, len(sizes))
        advance(size)
    why = _missing_groups(len(sizes) - len(whole), len(sizes))
    if not why and size_bytes is not None and size != size_bytes:
        why = f"it has {size:,} bytes, not {size_bytes:,}"
    if not why and points is not None and sum(sizes) != points:
        why = f"it has {sum(sizes):,} points, not {points:,}"
    return FileHealth(why, tuple(whole), sum(sizes[number] for number in whole))


def _missing_groups(damaged: int, count: int) -> str:
    if not damaged:
        return ""
    if count == 1:
        return "its only row group is damaged"
    return f"{damaged} of its {count} row groups {'is' if damaged == 1 else 'are'} damaged"


def _wrong_parts(
    path: Path, expected: Sequence[FilePart], advance: Callable[[int], None]
) -> set[int]:
    """Numbers of the parts that are not what they were."""
    wrong = set()
    start = 0
    for part, number in zip(expected, damaged_parts(path, expected), strict=True):
        if number is not None:
            wrong.add(number)
        advance(part.end - start)
        start = part.end
    return wrong


def extents(path: Path, row_groups: Iterable[int]) -> tuple[int, str, str, int, int] | None:
    """Number of points, smallest and largest channel id, first and last time; None for no point."""
    points = 0
    smallest: list[Any] = []
    largest: list[Any] = []
    with pq.ParquetFile(path) as file:
        for number in row_groups:
            table = file.read_row_group(number, columns=list(_SUMMED_COLUMNS))
            if not table.num_rows:
                continue
            points += table.num_rows
            ends = [pa.compute.min_max(table[name]).as_py() for name in _SUMMED_COLUMNS]
            smallest.append(tuple(each["min"] for each in ends))
            largest.append(tuple(each["max"] for each in ends))
    if not points:
        return None
    return (
        points,
        min(each[0] for each in smallest),
        max(each[0] for each in largest),
        min(each[1] for each in smallest),
        max(each[1] for each in largest),
    )


def _unfit(schema: Any) -> str:  # noqa: ANN401 (pyarrow has no types)
    known = {field.name: field.type for field in FILE_SCHEMA}
    for field in schema:
        if field.name not in known:
            continue
        field_type = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if _plain(field_type) != _plain(known[field.name]):
            return f"its column {field.name} is {field_type}, not {known[field.name]}"
    if "timestamp_ns" not in schema.names or "channel_id" not in schema.names:
        return "it is no file of points"
    return ""


def _plain(kind: Any) -> Any:  # noqa: ANN401
    large = {pa.large_string(): pa.string(), pa.large_binary(): pa.binary()}
    return large.get(kind, kind)


def _decoded(path: Path, row_groups: int) -> list[int]:
    whole = []
    for number in range(row_groups):
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                file.read_row_group(number).validate(full=True)
        except (pa.ArrowException, OSError, ValueError):
            continue
        whole.append(number)
    return whole


def _short(error: BaseException) -> str:
    return str(error).partition("\n")[0][:200]
