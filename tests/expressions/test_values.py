"""Expressions mean what a slow, obvious evaluator says, however their signals are cut."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sift_server import cel
from sift_server.expressions import Expression, ExpressionError, Signal, compile_expression
from sift_server.expressions.scope import DIALECT
from support.expression_oracle import Channel, Oracle
from support.expressions import (
    REFERENCES,
    SHAPES,
    bits_of,
    channels,
    expressions,
    flat,
    hard_channels,
    signal_of,
    values_of,
)

FAR = 2**62
REFUSED = ("names no channel", "never changes", "64 bits", "none of its names")


def compiled(text: str) -> Expression:
    try:
        return compile_expression(text, REFERENCES)
    except ExpressionError as error:
        # What is made of literals may be refused.
        assume(not any(why in str(error) for why in REFUSED))
        raise


def inputs(
    expression: Expression, points: dict[str, Channel], start: int = -FAR, end: int = FAR
) -> list[Signal]:
    return [signal_of(points[source.key], source.key, start, end) for source in expression.sources]


@pytest.mark.parametrize("shape", [shape for several in SHAPES.values() for shape in several])
def test_each_operation_of_each_type(shape: str) -> None:
    """Over values to trip over, as a whole and point by point."""
    points = hard_channels()
    for text in flat(shape):
        if "$" not in text:
            continue
        expression = compile_expression(text, REFERENCES)
        whole, _ = expression.advance(None, inputs(expression, points))
        check(text, values_of(whole), Oracle(points).region(cel.parse(text, DIALECT)))
        memory: Any = None
        found = []
        for time_ns, _ in points["$d"].points:
            piece = inputs(expression, points, time_ns, time_ns + 1)
            one, memory = expression.advance(memory, piece)
            found += bits_of(values_of(one))
        assert found == bits_of(values_of(whole)), text


def check(text: str, found: list[tuple[int, Any]], expected: list[tuple[int, Any]]) -> None:
    if text.startswith("stddev("):
        assert all(is_near(*pair) for pair in zip(found, expected, strict=True)), text
    elif "stddev(" not in text:
        # What follows from a standard deviation may differ as much as it likes.
        assert bits_of(found) == bits_of(expected), text


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, Expression, dict[str, Channel]]:
    text = draw(expressions())
    expression = compiled(text)
    return text, expression, draw(channels([source.key for source in expression.sources]))


@settings(max_examples=400)
@given(cases())
def test_values_are_those_of_the_oracle(case: tuple[str, Expression, dict[str, Channel]]) -> None:
    """All types, operators, functions, rates and missing values; each value is the same."""
    text, expression, points = case
    found, _ = expression.advance(None, inputs(expression, points))
    expected = Oracle(points).region(cel.parse(text, DIALECT))
    check(text, values_of(found), expected)


def is_near(one: tuple[int, Any], other: tuple[int, Any]) -> bool:
    if one[1] is None or other[1] is None or math.isnan(other[1]):
        return bits_of([one]) == bits_of([other])
    return one[0] == other[0] and math.isclose(one[1], other[1], rel_tol=1e-12, abs_tol=5e-324)


@settings(max_examples=400)
@given(cases(), st.data())
def test_cuts_do_not_matter(
    case: tuple[str, Expression, dict[str, Channel]], data: st.DataObject
) -> None:
    """Pieces give what the whole gives, to the bit; a memory can be gone back to at any time."""
    _, expression, points = case
    whole, _ = expression.advance(None, inputs(expression, points))
    times = sorted({time for channel in points.values() for time, _ in channel.points})
    cuts = sorted(data.draw(st.lists(st.sampled_from(times), max_size=4))) if times else []
    memory: Any = None
    steps = []
    for start, end in zip([-FAR, *cuts], [*cuts, FAR], strict=True):
        piece = inputs(expression, points, start, end)
        found, after = expression.advance(memory, piece)
        steps.append((memory, piece, bits_of(values_of(found))))
        memory = after
    assert [point for _, _, found in steps for point in found] == bits_of(values_of(whole))
    for memory, piece, before in data.draw(st.permutations(steps)):
        again, _ = expression.advance(memory, piece)
        assert bits_of(values_of(again)) == before


@settings(max_examples=400)
@given(cases(), st.data())
def test_nothing_before_the_lookback_matters(
    case: tuple[str, Expression, dict[str, Channel]], data: st.DataObject
) -> None:
    """Who evaluates from that long before a time on gets the same values from the time on."""
    _, expression, points = case
    assume(expression.lookback_ns is not None)
    whole, _ = expression.advance(None, inputs(expression, points))
    times = sorted({time for channel in points.values() for time, _ in channel.points})
    assume(times)
    start = data.draw(st.sampled_from(times)) + data.draw(st.sampled_from([0, 1]))
    late, _ = expression.advance(
        None, inputs(expression, points, start - expression.lookback_ns, FAR)
    )
    assert from_on(late, start) == from_on(whole, start)


def from_on(signal: Signal, start: int) -> list[tuple[int, str]]:
    return [point for point in bits_of(values_of(signal)) if point[0] >= start]
