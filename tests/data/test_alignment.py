"""One time axis for several series."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from sift_py.data._alignment import Alignment

series = st.lists(
    st.lists(st.integers(-(2**62), 2**62) | st.integers(0, 5), max_size=20).map(sorted), max_size=5
)


@given(series)
def test_every_point_has_a_row_of_its_time_and_no_row_is_too_many(times):
    arrays = [np.array(each, np.int64) for each in times]
    aligned = Alignment.of(arrays)
    rows = aligned.times_ns.tolist()
    counts = [Counter(each) for each in times]
    wanted = {time: max(each[time] for each in counts) for time in set().union(*times)}
    assert rows == sorted(time for time, count in wanted.items() for _ in range(count))
    for number, mine in enumerate(times):
        values = pa.array(range(len(mine)), pa.int64())
        spread = aligned.spread(number, values).to_pylist()
        placed = [
            (row, value) for row, value in zip(rows, spread, strict=True) if value is not None
        ]
        assert placed == list(zip(mine, range(len(mine)), strict=True))
