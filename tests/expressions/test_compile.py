"""What is wrong with an expression is said before there is data, with where and what instead."""

from __future__ import annotations

import time

import numpy as np
import pyarrow as pa
import pytest

from sift_server.cel import DEPTH_MAX
from sift_server.cel.text import CHAIN_MAX
from sift_server.errors import InvalidArgumentError
from sift_server.expressions import (
    Column,
    Signal,
    Source,
    Type,
    compile_condition,
    compile_expression,
)
from sift_server.expressions.functions.strings import PATTERN_CHARS_MAX
from sift_server.expressions.scope import (
    EXPRESSION_CHANNELS_MAX,
    EXPRESSION_CHARS_MAX,
    EXPRESSION_TOKENS_MAX,
)
from sift_server.expressions.values import Texts
from support.expressions import REFERENCES

SOURCES = {
    "$1": Source("speed", "speed", Type.DOUBLE),
    "$2": Source("gear", "gear", Type.INT),
    "$3": Source("on", "on", Type.BOOL),
    "$4": Source(
        "state", "state", Type.STRING, frozenset(["Idle", "Run"]), {}, frozenset(["0", "1"])
    ),
    "$5": Source("log", "log", Type.STRING),
    "$6": REFERENCES["$f"],
    "$7": Source("blob", "blob", None),
    "$8": Source("rail", "rail", None, None, {"12v": Source("rail.12v", "rail", Type.INT)}),
}
NAMED = {"motor.speed": SOURCES["$1"], "motor.bits": SOURCES["$6"]}

COMPILE_MS_MAX = 1_000

WRONG = [
    # Reading.
    ("$1 >", "at column 4", "look like"),
    ("$1 >\n 4 4", "at column 9", "look like"),
    ("", "at column 1", "look like"),
    ("$1 > 'a", "at column 6", "look like"),
    ("$1 > {}", "made of"),
    ("$5 == '\ud800'", "column 8", "write the whole character"),
    ("$2 > 9223372036854775808", "column 6", "64 bits", "1e19"),
    ("$1 > 1e400", "column 6", "1e400", "beyond all doubles"),
    ("$1 > -1e400", "column 6", "beyond all doubles"),
    (r"""$5 == 'a\x'""", "column 9", r"\x without its digits", r"\x41"),
    (r"""$5 == "\u12" """, "column 8", r"\u without its digits"),
    (r"""$5 == 'a\ud83d'""", "column 9", r"\ud83d, which is not a character"),
    ("$2 in [1, {}]", "column 11", "made of"),
    ("$2 > 1 or $2 < 0", "column 8", "or is written `||`", "look like"),
    ("not $3 AND $3", "not is written `!`, and is written `&&`"),
    ("$5 == 'or' 1", "column 12", "can't be read at column 12; it should"),
    # Names.
    ("$9 > 1", "column 1", "$9", "'$1', '$2'"),
    ("1 > spede", "column 5", "spede", "check how"),
    ("$1.x > 1", "column 1", "speed", "no elements"),
    ("$6.high > 1", "column 1", "bits", "'low'"),
    ("$6 > 1", "column 1", "bit field", "$6.low"),
    ("$8 > 1", "column 1", "bit field", '$8["12v"]'),
    ("$7 == 1", "column 1", "$7", "bytes"),
    ("a.$b > 1", "column 1", "a.$b"),
    ("abs($1).x > 1", "column 1", "`channel.element`"),
    # Types.
    ("$1 == 'a'", "column 1", "speed (a double)", "a string", "have to be"),
    ("1 < 2 && $2 == $5", "column 10", "gear (an integer)", "log (a string)", "have to be"),
    ("$3 > true", "column 1", "on (a bool)", "== or !="),
    ("$3 == 2", "column 1", "on (a bool)", "an integer"),
    ("$4 == 'Stop'", "column 7", "state (an enum)", "'Stop'", "'Idle', 'Run'"),
    ("$4 in ['Idle', 'Stop']", "column 16", "state (an enum)", "'Idle', 'Run'"),
    ("$4 == '1'", "column 7", "state (an enum)", "'Idle', 'Run'"),
    ("$4 == '07'", "column 7", "'07'", "'Idle', 'Run'"),
    ("$4 == 7", "column 1", "state (an enum)", "an enum is its names: 'Idle', 'Run'"),
    ("7 == $4", "state (an enum)", "an enum is its names: 'Idle', 'Run'"),
    ("$1 && true", "column 1", "speed (a double)", "`... > 0`"),
    ("!$2", "column 2", "gear (an integer)", "`... > 0`"),
    ("$1 ? 1 : 2", "column 1", "speed (a double)", "`... > 0`"),
    ("$3 ? $2 : 'a'", "column 6", "gear (an integer)", "a string", "have to be"),
    ("1 + $3 > 1", "column 5", "on (a bool)", "? 1 : 0"),
    ("-$5 > 1", "column 2", "log (a string)", "size()"),
    ("$1 in 5", "column 7", "`$1 in [1, 2]`"),
    ("$1 in []", "column 7", "`$1 in [1, 2]`"),
    ("$1 in [$2]", "column 8", "literal"),
    ("[1] == $1", "column 1", "`$1 in [1, 2]`"),
    ("$1 == null", "column 7", "missing by itself"),
    ("$2 > 9223372036854775807 + 1", "column 6", "64 bits"),
    ("$2 > 1 % 0", "column 6", "64 bits"),
    ("1 < 2", "column 1", "no channel"),
    # Functions.
    ("sqrtt($1)", "column 1", "sqrtt()", "sqrt()"),
    ("zzz($1)", "column 1", "zzz()", "the functions are abs, "),
    ("1 < sqrt($5)", "column 5", "takes numbers", "log (a string)"),
    ("sqrt($1, $1)", "column 1", "1 argument, not 2"),
    ("min($1) > 1", "column 1", "two or more numbers", "rolling"),
    ("max($1, $5) > 1", "column 1", "takes numbers", "log (a string)"),
    ("abs($3)", "column 1", "takes numbers", "on (a bool)"),
    ("size($1)", "column 1", "takes a string", "speed (a double)"),
    ("contains($1, 'a')", "column 1", "two strings", "speed (a double)"),
    ("contains($5, $5)", "column 1", "string literal"),
    ("matches($5, '(')", "column 1", "'('", "regular expression"),
    ("matches($5, '(a{1000}){1000}')", "column 1", "regular expression"),
    ("prev(1)", "column 6", "never changes", "channels"),
    ("prev($1, 2)", "column 1", "prev(x)"),
    ("delta($5)", "column 1", "takes a number", "log (a string)"),
    ("deriv($3)", "column 1", "takes a number", "on (a bool)"),
    ("deriv($1, $1)", "column 11", "needs a literal", "500ms"),
    ("persistence($1, 5)", "column 1", "takes a condition", "speed (a double)"),
    ("persistence($3)", "column 1", "persistence(condition, 5)"),
    ("persistence($3, 0)", "column 1", "takes a duration", "10 minutes"),
    ("persistence($3, -1)", "column 1", "10 minutes"),
    ("persistence($3, 601)", "column 1", "WINDOW_NS_MAX"),
    ("persistence($3, 'soon')", "column 1", "'soon'", "1m30s"),
    ("persistence($3, true)", "column 1", "1m30s"),
    ("persistence($3, 0.0000000001)", "column 1", "whole number of nanoseconds"),
    ("avg($1)", "column 1", 'avg(x, rolling("10s"))'),
    ("avg($1, 5)", "column 1", 'avg(x, rolling("10s"))'),
    ("avg($5, rolling(5))", "column 1", "takes a number", "log (a string)"),
    ("avg($1, rolling('1y'))", "column 9", "'1y'", "1m30s"),
    ("avg($1, rolling('8761h'))", "column 9", "10 minutes (WINDOW_NS_MAX)"),
    ("avg($1, rolling(1, 2))", "column 9", 'rolling("10s")'),
    ("rolling('1s')", "column 1", "stands last"),
    ("min(rolling('1s'), $1)", "column 5", "stands last"),
    # Limits.
    ("$1 > 1 " + " " * EXPRESSION_CHARS_MAX, f"{EXPRESSION_CHARS_MAX:,}", "several rules"),
    ("$1>1||" * 700 + "$3", f"{EXPRESSION_TOKENS_MAX:,}", "several rules"),
    ("(" * 65 + "$1" + ")" * 65, f"{DEPTH_MAX} levels", "DEPTH_MAX", "several rules"),
    ("!" * 65 + "$3", f"{DEPTH_MAX} levels", "DEPTH_MAX"),
    ("$1" + "+1" * 257, "257", f"{CHAIN_MAX} (CHAIN_MAX)", "parentheses"),
    (
        "contains($5, '%s')" % ("a" * 1_001),
        f"{PATTERN_CHARS_MAX:,} characters",
        "PATTERN_CHARS_MAX",
    ),
]


def find(name: str) -> Source | None:
    return NAMED.get(name)


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case[0][:40])
def test_what_is_wrong_is_said(case: tuple[str, ...]) -> None:
    """With its column, the channel and its type, and what to write instead."""
    text, *parts = case
    with pytest.raises(InvalidArgumentError) as caught:
        compile_expression(text, SOURCES, find)
    message = str(caught.value)
    assert [part for part in parts if part not in message] == [], message


def test_a_condition_is_true_or_false() -> None:
    """A rule needs one."""
    assert compile_condition("$1 > 1", SOURCES).type is Type.BOOL
    with pytest.raises(InvalidArgumentError, match="a double, not a condition: compare it"):
        compile_condition("$1 + 1", SOURCES)


def test_a_number_of_an_enum_without_a_name_is_its_digits() -> None:
    """Such as a value that was added later; those with names are refused above."""
    expression = compile_expression("$4 == '7' || $4 in ['Idle', '42']", SOURCES)
    texts = Column(Type.STRING, Texts(pa.array(["7", "Run", "42"], pa.large_string())))
    found, _ = expression.advance(None, [Signal(np.arange(3), texts)])
    assert found.column.values.tolist() == [True, False, True]


def truths(text: str, kind: Type, values: np.ndarray) -> list[bool]:
    """Of `$1`, a value a point."""
    expression = compile_expression(text, {"$1": Source("x", "x", kind)})
    found, _ = expression.advance(None, [Signal(np.arange(len(values)), Column(kind, values))])
    return found.column.values.tolist()


def test_a_float_is_compared_as_a_double() -> None:
    """As docs/expressions.md says, which gives a way around it."""
    floats = np.array([0.1, 0.5], np.float32).astype(np.float64)
    assert truths("$1 == 0.1", Type.DOUBLE, floats) == [False, False]
    assert truths("abs($1 - 0.1) < 1e-6", Type.DOUBLE, floats) == [True, False]
    assert truths("$1 == 0.5", Type.DOUBLE, floats) == [False, True]


def test_large_unsigned_integers_are_compared_with_doubles() -> None:
    """None of them rounded; integer literals have no more than 63 bits."""
    numbers = np.array([2**63 - 1, 2**63, 2**63 + 1, 2**64 - 1], np.uint64)
    assert truths("$1 > 9223372036854775808.0", Type.INT, numbers) == [False, False, True, True]
    assert truths("$1 == 9223372036854775808.0", Type.INT, numbers) == [False, True, False, False]
    assert truths("$1 < 18446744073709551616.0", Type.INT, numbers) == [True] * 4


def test_escapes_of_regular_expressions_stay() -> None:
    """Only what CEL has an escape for is one, and `x{...}` is none of CEL."""
    compile_expression(r"matches($5, '\x{41}\d+\.\x41')", SOURCES)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("stdev", "did you mean stddev()?"),
        ("isnan", "did you mean isNaN()?"),
        ("starts_with", "did you mean startsWith()?"),
        ("int", "the functions are "),
        ("mean", "the functions are "),
    ],
)
def test_only_close_names_of_functions_are_proposed(name: str, said: str) -> None:
    """Others get the list."""
    with pytest.raises(InvalidArgumentError) as caught:
        compile_expression(f"{name}($1) > 1", SOURCES)
    assert said in str(caught.value)


def test_channels_are_found_by_reference_and_by_name() -> None:
    """A channel that is named twice is one; elements of bit fields are channels of their own."""
    expression = compile_expression(
        'motor.speed > $1 && motor.bits.low == $6["low"] && motor["speed"] > 0', SOURCES, find
    )
    assert [source.name for source in expression.sources] == ["speed", "bits.low"]


def test_too_many_channels_are_refused() -> None:
    """As many as the limit are not."""
    names = [f"$c{number}" for number in range(EXPRESSION_CHANNELS_MAX + 1)]
    sources = {name: Source(name, name, Type.DOUBLE) for name in names}
    expression = compile_expression("+".join(names[:-1]), sources)
    assert len(expression.sources) == EXPRESSION_CHANNELS_MAX
    with pytest.raises(InvalidArgumentError, match=r"column 491.*100 channels.*several rules"):
        compile_expression("+".join(names), sources)


LARGE = {
    "terms": "$1" + "+1" * CHAIN_MAX,
    "sums of sums": "+".join(["($1" + "+1" * 200 + ")"] * 9),
    "conditions": "$1>1||" * 600 + "$3",
    "parentheses": "(" * 60 + "$1" + ")" * 60,
    "not": "!" * 60 + "$3",
    "choices": "$3?1:" * 60 + "2",
    "calls": "abs(" * 60 + "$1" + ")" * 60,
    "functions over time": "prev(" * 60 + "$1" + ")" * 60,
    "many of them": "+".join(f"prev($1*{number})" for number in range(250)),
    "items": "$1 in [" + ",".join(map(str, range(1_900))) + "]",
    "windows": "max(" + ",".join(f"avg($1,rolling({n}))" for n in range(1, 350)) + ")",
    "patterns": "||".join(["matches($5,'(a|b)*[c-x]{1,50}')"] * 250),
    "strings": "$5 == '" + "\\\\n" * 3_000 + "'",
}


@pytest.mark.parametrize("name", LARGE)
def test_the_largest_that_are_taken_compile_and_run_in_bounded_time(name: str) -> None:
    """Nothing grows faster than the text, and nothing recurses deeper than Python can."""
    text = LARGE[name]
    compile_expression("$1 > 0", SOURCES)  # builds the parser's tables
    started_s = time.thread_time()
    expression = compile_expression(text, SOURCES)
    assert expression.lookback_ns is not None
    assert (time.thread_time() - started_s) * 1_000 < COMPILE_MS_MAX
    times_ns = np.arange(3) * 1_000_000_000
    columns = {
        "speed": Column(Type.DOUBLE, np.array([1.0, 2.0, 3.0])),
        "on": Column(Type.BOOL, np.array([True, False, True])),
        "log": Column(Type.STRING, "ab").written_out(3),
    }
    signals = [Signal(times_ns, columns[source.name]) for source in expression.sources]
    found, _ = expression.advance(None, signals)
    assert len(found) == 3
