"""Text for a terminal: names and notes that came from clients, times, tables.

What a terminal would not show as it stands is escaped, and what is long is cut.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.timestamp_pb2 import Timestamp

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NAME_CHARACTERS_MAX = 60
NOTE_CHARACTERS_MAX = 400


def shown(text: str, characters_max: int = NAME_CHARACTERS_MAX) -> str:
    """A text that came from a client, on one line of a terminal."""
    cut = text if len(text) <= characters_max else text[:characters_max] + "…"
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in cut) or "-"


def shown_time(nanoseconds: int | None) -> str:
    """A time to the second, in UTC."""
    return (rfc_3339(nanoseconds) or "-")[:19].replace("T", " ")


def rfc_3339(nanoseconds: int | None) -> str | None:
    """A time as RFC 3339 has it, in UTC."""
    if nanoseconds is None:
        return None
    timestamp = Timestamp()
    timestamp.FromNanoseconds(nanoseconds)
    return timestamp.ToJsonString()


def shown_length(nanoseconds: int) -> str:
    """How long something took: seconds to the millisecond, and larger units from a minute on."""
    sign, milliseconds = "-" * (nanoseconds < 0), round(abs(nanoseconds) / 1_000_000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    days, minutes = divmod(minutes, 24 * 60)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{milliseconds / 1_000:.3f} s"
    parts = [f"{days:,} d"] * bool(days) + [f"{hours} h"] * bool(days or hours)
    parts += [f"{minutes} min"] * bool(days or hours or minutes)
    # Who counts in days asks for no milliseconds.
    return sign + " ".join(parts if days else [*parts, seconds])


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str] | None = None
) -> Iterator[str]:
    """Lines of a table; below each row its note, if it has one."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row, note in zip((head, *rows), ("", *(notes or [""] * len(rows))), strict=True):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield "  ".join(cells).rstrip()
        if note:
            yield f"    {shown(note, NOTE_CHARACTERS_MAX)}"
