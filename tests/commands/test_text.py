"""Words for a terminal."""

from __future__ import annotations

import pytest

from sift_server.commands.text import shown_length

SECOND = 10**9


@pytest.mark.parametrize(
    ("length_ns", "expected"),
    [
        (0, "0.000 s"),
        (18_400_000, "0.018 s"),
        (60 * SECOND - 1, "1 min 0.000 s"),
        (1_199_999_000_000, "19 min 59.999 s"),
        (3_600 * SECOND, "1 h 0 min 0.000 s"),
        (31_532_400_999_000_000, "364 d 23 h 0 min"),
        (-90 * SECOND, "-1 min 30.000 s"),
    ],
)
def test_lengths_are_in_units_that_can_be_read(length_ns, expected):
    """Of milliseconds to years."""
    assert shown_length(length_ns) == expected
