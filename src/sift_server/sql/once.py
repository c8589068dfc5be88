"""Which points of which sources can be in no other source.

Files of a table, and the points that are hot, are sources. A point that a client sent twice is in
two of them, or twice in one. To look for such points costs much more than to read them, and rarely
is there one: so it is looked for only where sources overlap, in time and in channels. Of each
source the longest stretch of time is found in which no other source can have the same points;
whoever reads takes those as they are, and of all others each once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sift_server.lake.files import Extent

NS_MIN, NS_MAX = -(2**63), 2**63 - 1


@dataclass(frozen=True, slots=True)
class Source:
    """What a source can hold at the most.

    Attributes:
        extent: Its channels and times.
        is_once: Whether it is known to have each of its points once.
    """

    extent: Extent
    is_once: bool


class Span(NamedTuple):
    """A stretch of time, both ends included, in nanoseconds since 1970."""

    first_ns: int
    last_ns: int

    def is_all_of(self, source: Source) -> bool:
        """Whether all points of a source are in it."""
        first_ns, last_ns = _times(source)
        return self.first_ns <= first_ns and last_ns <= self.last_ns


def alone(sources: Sequence[Source]) -> list[Span | None]:
    """For each source, a stretch in which it has each point once and no other source has it."""
    times = [_times(source) for source in sources]
    shared: list[list[Span]] = [[] for _ in sources]
    open_sources: list[int] = []
    for one in sorted(range(len(sources)), key=times.__getitem__):
        first_ns, last_ns = times[one]
        open_sources = [other for other in open_sources if times[other][1] >= first_ns]
        for other in open_sources:
            if _share_channels(sources[one].extent, sources[other].extent):
                span = Span(first_ns, min(last_ns, times[other][1]))
                shared[one].append(span)
                shared[other].append(span)
        open_sources.append(one)
    return [
        _longest_gap(Span(*span), taken) if source.is_once else None
        for source, span, taken in zip(sources, times, shared, strict=True)
    ]


def _times(source: Source) -> tuple[int, int]:
    first_ns, last_ns = source.extent.timestamp_ns_min, source.extent.timestamp_ns_max
    return NS_MIN if first_ns is None else first_ns, NS_MAX if last_ns is None else last_ns


def _share_channels(one: Extent, other: Extent) -> bool:
    def is_before(last: str | None, first: str | None) -> bool:
        return last is not None and first is not None and last < first

    return not (
        is_before(one.channel_id_max, other.channel_id_min)
        or is_before(other.channel_id_max, one.channel_id_min)
    )


def _longest_gap(whole: Span, taken: list[Span]) -> Span | None:
    gaps = []
    first_ns = whole.first_ns
    for span in sorted(taken):
        if span.first_ns > first_ns:
            gaps.append(Span(first_ns, span.first_ns - 1))
        first_ns = max(first_ns, span.last_ns + 1)
    if first_ns <= whole.last_ns:
        gaps.append(Span(first_ns, whole.last_ns))
    return max(gaps, key=lambda gap: gap.last_ns - gap.first_ns, default=None)
