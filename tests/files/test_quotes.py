"""Rows of CSV end where Python's own reader ends them, whatever is quoted."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sift_files.csv.quotes import cut_rows


@given(st.text('"\n,ab', max_size=60))
@example('a,5" pipe\n"b\n",c\n')
@example('"a""\n"",b"\nc')
def test_the_cut_is_the_end_of_a_row(text):
    """The rows before it are complete, and are those of the whole text."""
    data = text.encode()
    cut, has_newlines, unclosed = cut_rows(data, b"\n", ",", at_end=False)
    assert unclosed == -1
    assert cut == 0 or data[cut - 1 : cut] == b"\n"
    rows = list(csv.reader(io.StringIO(text, newline="")))
    first = list(csv.reader(io.StringIO(text[:cut], newline="")))
    assert rows[: len(first)] == first
    if not is_odd(text):
        assert any("\n" in cell for row in first for cell in row) == has_newlines


def is_odd(text):
    """Whether letters follow a closing quote, of which readers make what they like."""
    return any(part in text for part in ('"a', '"b')) and '"' in text


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'a,"b\nc"\nd,"e', (8, True, -1)),
        (b'a,"b\nc', (0, False, -1)),
        (b'a,5" pipe\n"b\n",c\n', (17, True, -1)),
        (b"a,b\nc", (4, False, -1)),
    ],
)
def test_rows_are_cut(data, expected):
    """Behind the last that is complete."""
    assert cut_rows(data, b"\n", ",", at_end=False) == expected


def test_a_quote_that_is_not_closed_is_told_at_the_end():
    """With its place."""
    assert cut_rows(b'a,"b\nc', b"\n", ",", at_end=True) == (6, True, 2)
