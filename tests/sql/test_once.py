"""Where points are looked for that are there twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from sift_server.lake.files import Extent
from sift_server.sql.file_facts import has_times_once
from sift_server.sql.once import Source, Span, alone
from sql.conftest import START_NS

if TYPE_CHECKING:
    from sql.conftest import Bench


def source(first: str | None, last: str | None, start: int, end: int, *, is_once: bool = True):
    return Source(Extent(1, first, last, start, end), is_once)


def test_sources_that_follow_each_other_are_taken_as_they_are():
    sources = [source("a", "z", 0, 9), source("a", "z", 10, 19)]

    assert alone(sources) == [Span(0, 9), Span(10, 19)]
    assert all(
        span.is_all_of(each) for span, each in zip(alone(sources), sources, strict=True) if span
    )


def test_where_they_overlap_points_are_looked_for():
    assert alone([source("a", "z", 0, 12), source("a", "z", 10, 19)]) == [Span(0, 9), Span(13, 19)]
    assert alone([source("a", "z", 0, 100), source("a", "z", 10, 19)]) == [Span(20, 100), None]


def test_other_channels_can_not_have_the_same_points():
    assert alone([source("a", "b", 0, 9), source("c", "d", 0, 9)]) == [Span(0, 9)] * 2


def test_of_what_is_not_known_nothing_is_taken_as_it_is():
    assert alone([source("a", "z", 0, 9, is_once=False)]) == [None]
    assert alone([source(None, None, 0, 9), source("a", "z", 5, 6)]) == [Span(0, 4), None]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 6),
            st.integers(0, 6),
            st.integers(0, 9),
            st.integers(0, 9),
            st.booleans(),
        ),
        max_size=8,
    )
)
def test_nothing_that_is_taken_as_it_is_can_be_in_another_source(drawn: list[tuple[int, ...]]):
    sources = [
        source(str(min(a, b)), str(max(a, b)), min(s, e), max(s, e), is_once=bool(once))
        for a, b, s, e, once in drawn
    ]
    for number, span in enumerate(alone(sources)):
        if span is None:
            continue
        mine = sources[number].extent
        assert sources[number].is_once
        for other in sources[:number] + sources[number + 1 :]:
            extent = other.extent
            shares = not (
                mine.channel_id_max < extent.channel_id_min
                or extent.channel_id_max < mine.channel_id_min
            )
            if shares:
                assert (
                    extent.timestamp_ns_max < span.first_ns
                    or span.last_ns < extent.timestamp_ns_min
                )


def test_a_file_without_a_time_twice_has_each_point_once(bench: Bench):
    rows = [(ns, [float(ns), 1]) for ns in range(10)]
    bench.publish(rows)
    bench.store.flush()
    bench.publish([*rows, (5, [5.5, None])])
    bench.store.flush()

    one, other = bench.store.snapshot().files

    assert has_times_once(one.path)
    assert not has_times_once(other.path)
    assert one.extent.timestamp_ns_min == START_NS
