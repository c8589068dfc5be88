"""An expression that names another one means what it means with that one written in its place."""

from __future__ import annotations

import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sift_server.errors import InvalidArgumentError
from sift_server.expressions import Nested, Source, Type, compile_expression
from sift_server.expressions.scope import (
    EXPRESSION_CHANNELS_MAX,
    EXPRESSION_TOKENS_MAX,
    NESTED_DEPTH_MAX,
    NESTING_MAX,
)
from support.expressions import (
    KINDS,
    REFERENCES,
    bits_of,
    channels,
    expressions,
    hard_channels,
    signal_of,
    values_of,
)

SPEED = Source("speed", "speed", Type.DOUBLE)
STATE = Source("state", "state", Type.STRING, frozenset(["Idle", "Run"]))


def nested(name: str, text: str, **names: Source | Nested) -> Nested:
    """A calculated channel whose `$name` stands for what is given."""
    known = {f"${key}": value for key, value in names.items()}
    return Nested(name, name, text, known.get, known)


def evaluated(expression, points):
    """The values over channels of `support.expressions`, by the keys of its sources."""
    inputs = [
        signal_of(points[str(source.key)], str(source.key), -(2**63), 2**63 - 1)
        for source in expression.sources
    ]
    return bits_of(values_of(expression.advance(None, inputs)[0]))


@given(expressions(), st.data())
def test_a_name_means_what_it_stands_for(inner, data):
    """Alone, beside channels, inside of functions over time, and nested again."""
    known = {**REFERENCES}
    part = Nested("part", "part", inner, known.get, known)
    try:
        kind = compile_expression(inner, REFERENCES).type
    except InvalidArgumentError:
        return
    around = ["{}", "prev({})", "{} == {}", "first({}, rolling('2s'))", "$b ? {} : prev({})"]
    if kind.is_number:
        around += ["avg({}, rolling('2s')) + $d", "{} * 2 > $i", "min({}, $u)"]
    if kind is Type.BOOL:
        around += ["persistence({}, '2s') || $b", "!{}"]
    outer = data.draw(st.sampled_from(around))
    again = Nested("again", "again", outer.replace("{}", "part"), {**known, "part": part}.get)
    points = data.draw(channels(list(KINDS)))
    named = compile_expression("again", {"again": again})
    written = compile_expression(outer.replace("{}", f"({inner})"), REFERENCES)
    assert named.type is written.type
    assert named.lookback_ns == written.lookback_ns
    assert evaluated(named, points) == evaluated(written, points)


def test_references_mean_what_they_mean_where_they_are_written():
    """The same text in two places may be about two channels."""
    points = {"$d": hard_channels()["$d"], "$e": hard_channels()["$d"]}
    inner = nested("inner", "sum($1, rolling('2s'))", **{"1": REFERENCES["$e"]})
    text = "sum($1, rolling('2s')) + $2"
    named = compile_expression(text, {"$1": REFERENCES["$d"], "$2": inner})
    assert [source.key for source in named.sources] == ["$d", "$e"]
    written = compile_expression("sum($d, rolling('2s')) + sum($e, rolling('2s'))", REFERENCES)
    assert evaluated(named, points) == evaluated(written, points)


def test_what_is_wrong_is_said_with_where_it_is():
    """In the outer expression, and in the inner one."""
    inner = nested("power", "$1 * state", **{"1": SPEED})
    with pytest.raises(InvalidArgumentError) as error:
        compile_expression("1 + $p", {"$p": inner})
    assert "'1 + $p', at column 5, names the calculated channel power: " in str(error.value)
    assert "'$1 * state', at column 6, names state, which is neither" in str(error.value)
    power = nested("power", "$1 * 2", **{"1": SPEED})
    with pytest.raises(InvalidArgumentError, match=r"column 1, compares power \(a double\) with"):
        compile_expression("$p == 'x'", {"$p": power})
    with pytest.raises(InvalidArgumentError, match=r"names \.x of power, which has no elements"):
        compile_expression("$p.x > 1", {"$p": power})
    same = nested("mode", "$1", **{"1": STATE})
    with pytest.raises(InvalidArgumentError, match="none of its names, 'Idle', 'Run'"):
        compile_expression("$m == 'Stop'", {"$m": same})
    assert compile_expression("$m == 'Run'", {"$m": same}).type is Type.BOOL


def test_nothing_is_a_part_of_itself():
    """Directly, or through another one."""
    loop = Nested("a", "a1", "b + 1", lambda _: other, owner="a")
    other = Nested("b", "b1", "a + 1", lambda _: loop, owner="b")
    with pytest.raises(InvalidArgumentError, match="names a, of which it is a part itself"):
        compile_expression("a > 1", {"a": loop})
    with pytest.raises(InvalidArgumentError, match="names a, of which it is a part itself"):
        compile_expression("b + 1", {"b": other}, owner="a")


def tower(levels: int, text: str = "$1 + 1") -> Source | Nested:
    """Calculated channels in each other."""
    made: Source | Nested = SPEED
    for level in range(levels):
        made = nested(f"c{level}", text, **{"1": made})
    return made


def test_nesting_is_limited():
    """In levels, in all that is named and written, and in depth."""
    compile_expression("$1", {"$1": tower(NESTING_MAX)})
    with pytest.raises(InvalidArgumentError, match=r"more than 8 calculated .*\(NESTING_MAX\)"):
        compile_expression("$1", {"$1": tower(NESTING_MAX + 1)})
    wide = "+".join(["$1"] * 10)
    with pytest.raises(InvalidArgumentError, match=f"than {EXPRESSION_TOKENS_MAX:,} names"):
        compile_expression(wide, {"$1": tower(NESTING_MAX, wide)})
    deep = "-" * 30 + "$1"
    with pytest.raises(InvalidArgumentError, match=f"than {NESTED_DEPTH_MAX} levels deep"):
        compile_expression(deep, {"$1": tower(NESTING_MAX, deep)})
    many = [Source(f"c{n}", n, Type.INT) for n in range(EXPRESSION_CHANNELS_MAX + 1)]
    inner = nested("sum", "+".join(f"$c{n}" for n in range(101)), **{c.name: c for c in many})
    with pytest.raises(InvalidArgumentError, match=r"100 channels \(EXPRESSION_CHANNELS_MAX\)"):
        compile_expression("$1", {"$1": inner})


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        ("$1 > 1" + " == true" * 100, "abs(" * 14 + "$1" + ")" * 14),
        ("abs(" * 60 + "$1" + ")" * 60, "-(" * 4 + "$1" + ")" * 4),
        ("min(" * 60 + "$1" + ",0)" * 60, "prev(" * 8 + "$1" + ")" * 8),
    ],
)
def test_what_is_as_deep_as_it_may_be_is_computed(outer, inner):
    """Within the recursion that a thread of a server has."""
    expression = compile_expression(outer, {"$1": tower(1, inner)})
    points = {"speed": hard_channels()["$d"]}
    found = []
    reader = threading.Thread(target=lambda: found.append(evaluated(expression, points)))
    # Python's own; libraries that others import raise it.
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000)
    try:
        reader.start()
        reader.join()
    finally:
        sys.setrecursionlimit(limit)
    assert found


def test_comparisons_may_be_as_many_as_operators():
    """They are compiled one inside of the other."""
    compile_expression("$1 > 1" + " == true" * 254, {"$1": SPEED})
