"""Functions do what their examples say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from sift_server.expressions import (
    FUNCTIONS,
    Column,
    Signal,
    Source,
    Texts,
    Type,
    compile_expression,
)
from support.expressions import values_of

if TYPE_CHECKING:
    from sift_server.expressions.functions import Function

EVERY = [function for several in FUNCTIONS.values() for function in several]
TYPES = {
    bool: (Type.BOOL, np.bool_),
    int: (Type.INT, np.int64),
    float: (Type.DOUBLE, np.float64),
}


def column_of(values: list[Any]) -> Column:
    kind = next(type(value) for value in values if value is not None)
    filled = [kind() if value is None else value for value in values]
    known = np.array([value is not None for value in values])
    if kind is str:
        return Column(Type.STRING, Texts(pa.array(filled, pa.large_string())), known)
    return Column(TYPES[kind][0], np.array(filled, TYPES[kind][1]), known)


@pytest.mark.parametrize("function", EVERY, ids=lambda function: function.form)
def test_the_example_is_true(function: Function) -> None:
    """Its values, one a second, give its results."""
    example = function.example
    column = column_of(list(example.given))
    expression = compile_expression(
        example.expression, {"$1": Source("channel", "channel", column.type)}
    )
    times_ns = np.arange(len(example.given)) * 1_000_000_000
    found, _ = expression.advance(None, [Signal(times_ns, column)])
    assert [value for _, value in values_of(found)] == list(example.result)
    assert type(next(v for v in example.result if v is not None)) in (
        type(value) for _, value in values_of(found)
    )


@pytest.mark.parametrize("function", EVERY, ids=lambda function: function.form)
def test_what_is_said_of_it_is_whole(function: Function) -> None:
    """Its form names it, and sentences are sentences."""
    assert function.form.startswith(f"{function.name}(")
    assert function.meaning.endswith(".")
    assert function.at_gaps
    assert function.result
