"""What rules found, as a table with a picture of the time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from sift.annotations.v1 import annotations_pb2
from sift_server.demo.summary import plain_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from sift.annotations.v1.annotations_pb2 import Annotation

_TIMELINE_CHARACTERS = 32
_NS_PER_S = 1_000_000_000


def found_table(annotations: Sequence[Annotation], title: str, start_ns: int, end_ns: int) -> Table:
    """A table with a row for each annotation, by its start.

    Args:
        annotations: Annotations.
        title: What to write above.
        start_ns: Where the picture begins, and times are counted from.
        end_ns: Where the picture ends.
    """
    table = plain_table(title)
    table.add_column("rule", no_wrap=True)
    table.add_column("makes", no_wrap=True)
    table.add_column("from s", justify="right", no_wrap=True)
    table.add_column("for s", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for one in sorted(annotations, key=lambda each: each.start_time.ToNanoseconds()):
        first_ns, last_ns = one.start_time.ToNanoseconds(), one.end_time.ToNanoseconds()
        is_phase = one.annotation_type == annotations_pb2.ANNOTATION_TYPE_PHASE
        table.add_row(
            one.name,
            "phase" if is_phase else "review",
            f"{(first_ns - start_ns) / _NS_PER_S:.2f}",
            f"{(last_ns - first_ns) / _NS_PER_S:.2f}" + ("…" if one.pending else ""),
            Text(
                timeline(first_ns, last_ns, start_ns, end_ns),
                style="cyan" if is_phase else "yellow",
            ),
        )
    return table


def timeline(first_ns: int, last_ns: int, start_ns: int, end_ns: int) -> str:
    """Some time within a longer one, drawn; what is very short is a character wide."""
    scale = _TIMELINE_CHARACTERS / max(end_ns - start_ns, 1)
    first = min(int((first_ns - start_ns) * scale), _TIMELINE_CHARACTERS - 1)
    last = min(max(round((last_ns - start_ns) * scale), first + 1), _TIMELINE_CHARACTERS)
    return "·" * first + "█" * (last - first) + "·" * (_TIMELINE_CHARACTERS - last)
