"""What is hot is found by channel, at any time, and without holding up who publishes."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sift_server.lake import PointStore
from sift_server.lake.hot import HotColumns
from sift_wire import kernels
from sift_wire.block import RowBlock
from sift_wire.columns import DataType, FlowLayout
from support.points import Flow

if TYPE_CHECKING:
    from pathlib import Path

    from sift_server.lake.block import PointBlock
    from sift_server.lake.hot import HotSnapshot

WAIT_S = 30


def flow_of(*channel_ids: str) -> Flow:
    types = (DataType.DOUBLE,) * len(channel_ids)
    return Flow("rig", channel_ids, FlowLayout("flow", channel_ids, types))


# The second list is that of a server that forgot its flows and was told of them again.
LISTS = (
    [flow_of("a", "b"), flow_of("b"), flow_of(), flow_of("c", "d", "a")],
    [flow_of("b"), flow_of("a", "b")],
)
CHANNELS = ("a", "b", "c", "d", "none")


def block_of(flows: list[Flow], numbers: list[int], time_ns: int) -> PointBlock:
    """A block with a row for each of some flows, at times that go on from one on."""
    groups = np.zeros((len(numbers), kernels.GROUP_COLUMNS), np.int64)
    cells = 0
    for group, number in enumerate(numbers):
        channels = len(flows[number].layout.channel_names)
        groups[group, [kernels.FLOW, kernels.CHANNELS]] = number, channels
        groups[group, [kernels.ROWS, kernels.ROWS_MAX]] = 1
        groups[group, [kernels.CELLS_START, kernels.ROWS_START]] = cells, group
        cells += channels
    times_ns = np.arange(time_ns, time_ns + len(numbers))
    present = np.ones(cells, np.bool_)
    return RowBlock(flows, ("",), groups, times_ns, np.zeros(cells, np.uint64), present, b"")


@st.composite
def numbered(draw: st.DrawFn) -> tuple[int, list[int]]:
    which = draw(st.integers(0, len(LISTS) - 1))
    return which, draw(st.lists(st.integers(0, len(LISTS[which]) - 1), min_size=1, max_size=5))


def times_of(snapshot: HotSnapshot, channel_id: str) -> list[list[int]]:
    """Times of the rows that have a channel, for each flow and index that it has there."""
    by_place: dict[tuple[int, int], list[int]] = {}
    for rows in snapshot.of_channel(channel_id):
        by_place.setdefault((id(rows.layout), rows.channel), []).append(int(rows.timestamps_ns[0]))
    return sorted(by_place.values())


@given(steps=st.lists(st.just("look") | st.just("keep") | numbered(), max_size=30))
def test_what_was_published_before_a_look_is_found_and_nothing_else(steps: list):
    """However blocks and looks take turns, and also if it is looked again later at what was."""
    hot = HotColumns()
    expected: dict[str, dict[tuple[int, int, int], list[int]]] = {name: {} for name in CHANNELS}
    kept: list[tuple[HotSnapshot, dict[str, list[list[int]]]]] = []
    time_ns = 0
    for step in [*steps, "look"]:
        if isinstance(step, str):
            found = {name: sorted(map(list, expected[name].values())) for name in CHANNELS}
            kept.append((hot.snapshot(), found))
            if step == "look":
                for snapshot, then in kept:
                    for name in CHANNELS:
                        assert times_of(snapshot, name) == then[name]
        else:
            which, numbers = step
            hot.publish(1, [block_of(LISTS[which], numbers, time_ns)])
            for number in numbers:
                for index, name in enumerate(LISTS[which][number].channel_ids):
                    expected[name].setdefault((which, number, index), []).append(time_ns)
                time_ns += 1


def test_who_publishes_does_not_wait_for_who_looks_for_rows(tmp_path: Path):
    """With very many rows of very many flows, the first one to read after them looks for long."""
    looking, go_on = threading.Event(), threading.Event()

    @dataclass(frozen=True)
    class SlowlyReadFlow:
        asset_name: str
        layout: FlowLayout

        @property
        def channel_ids(self) -> tuple[str, ...]:
            looking.set()
            assert go_on.wait(WAIT_S)
            return ("a",)

    store = PointStore.open(tmp_path)
    flow = SlowlyReadFlow("rig", FlowLayout("flow", ("a",), (DataType.DOUBLE,)))
    store.publish(1, [block_of([flow], [0], 1)])
    views = []
    reader = threading.Thread(target=lambda: views.append(store.view("a", DataType.DOUBLE)))
    reader.start()
    assert looking.wait(WAIT_S)
    publisher = threading.Thread(
        target=lambda: store.publish(2, [block_of([flow], [0], 2)]), daemon=True
    )
    publisher.start()
    publisher.join(WAIT_S / 6)
    is_held_up = publisher.is_alive()
    go_on.set()
    reader.join(WAIT_S)
    assert not is_held_up
    # What came after the view was taken is not in it.
    assert [rows.timestamps_ns.tolist() for rows in views[0].hot] == [[1]]
    store.close()
