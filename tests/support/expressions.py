"""Random expressions, channels with values to trip over, and signals cut into pieces."""

from __future__ import annotations

import itertools
import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from sift_server.expressions import AGE_NS_MAX, Column, Signal, Source, Texts, Type
from support.expression_oracle import Channel

if TYPE_CHECKING:
    from collections.abc import Sequence

S = 1_000_000_000
STATES = ("Idle", "Running", "Failed")
KINDS = {
    "$d": "double",
    "$e": "double",
    "$i": "int",
    "$u": "uint",
    "$f.low": "int",
    "$b": "bool",
    "$s": "string",
    "$m": "string",
}
TYPES = {"double": Type.DOUBLE, "int": Type.INT, "uint": Type.INT, "bool": Type.BOOL}
_LOW = Source("bits.low", "$f.low", Type.INT)
REFERENCES = {
    name: Source(f"channel {name}", name, TYPES.get(kind, Type.STRING))
    for name, kind in KINDS.items()
    if "." not in name
} | {
    "$m": Source("mode", "$m", Type.STRING, frozenset(STATES)),
    "$f": Source("bits", "bits", None, None, {"low": _LOW}),
}
DOUBLES = st.floats() | st.sampled_from(
    [
        0.0,
        -0.0,
        1.0,
        -1.5,
        0.1,
        3.0,
        1e16,
        2.0**53,
        2.0**63,
        1e308,
        -1e308,
        5e-324,
        2.5e-308,
        math.inf,
    ]
)
INTEGERS = st.integers(-(2**63), 2**63 - 1) | st.sampled_from(
    [0, 1, -1, 2, 3, 7, 2**53 + 1, 2**62, 2**63 - 1, -(2**63)]
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "double": DOUBLES,
    "int": INTEGERS,
    "uint": st.sampled_from([0, 1, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1])
    | st.integers(0, 2**64 - 1),
    "bool": st.booleans(),
    "string": st.sampled_from(["", "ERROR 7", "ok", "é😀", "Idle"]),
}
GAPS_NS = st.sampled_from(
    [1, S // 2, S, S, S, 2 * S, 10 * S, AGE_NS_MAX - S, AGE_NS_MAX, AGE_NS_MAX + 1]
)


@st.composite
def channels(draw: st.DrawFn, names: Sequence[str], points_max: int = 12) -> dict[str, Channel]:
    """Points of channels, at times that often are the same; some have no value."""
    clock = np.cumsum([0, *draw(st.lists(GAPS_NS, min_size=1, max_size=points_max))]).tolist()
    made = {}
    for name in names:
        kind = KINDS[name]
        values = st.sampled_from(STATES) if name == "$m" else VALUES[kind]
        values = st.one_of(values, values, values, st.none()) if draw(st.booleans()) else values
        has_all = draw(st.booleans())
        times = [time for time in clock if has_all or draw(st.booleans())]
        made[name] = Channel(kind, [(time, draw(values)) for time in times])
    return made


def signal_of(channel: Channel, name: str, start: int, end: int) -> Signal:
    """The points from a time to before another one."""
    points = [point for point in channel.points if start <= point[0] < end]
    times_ns = np.array([time for time, _ in points], np.int64)
    values = [value for _, value in points]
    known = np.array([value is not None for value in values], np.bool_)
    return Signal(
        times_ns, Column(*_column(channel.kind, values, name), None if known.all() else known)
    )


def _column(kind: str, values: list[Any], name: str) -> tuple[Type, Any]:
    if kind == "string":
        if name == "$m":
            found = sorted({value for value in values if value is not None}) or ["Idle"]
            codes = [found.index(value) if value is not None else 0 for value in values]
            return Type.STRING, Texts(pa.array(found, pa.large_string()), np.array(codes, np.int64))
        texts = ["?" if value is None else value for value in values]
        return Type.STRING, Texts(pa.array(texts, pa.large_string()))
    dtype = {"double": np.float64, "int": np.int64, "uint": np.uint64, "bool": np.bool_}[kind]
    # What stands where nothing is known must not matter.
    filler = {"double": 1e300, "int": 77, "uint": 2**64 - 1, "bool": True}[kind]
    return TYPES[kind], np.array([filler if v is None else v for v in values], dtype)


def values_of(signal: Signal) -> list[tuple[int, Any]]:
    """Times and values as Python has them; None for what is missing."""
    column = signal.column
    values = column.values
    plain = values.plain().to_pylist() if isinstance(values, Texts) else values.tolist()
    known = column.known_places().tolist()
    return [
        (time, value if is_known else None)
        for time, value, is_known in zip(signal.times_ns.tolist(), plain, known, strict=True)
    ]


def bits_of(points: Sequence[tuple[int, Any]]) -> list[tuple[int, str]]:
    """What tells values apart that are not the same: `0.0` and `-0.0`, `1` and `1.0`; not NaN."""
    return [(time, repr(value)) for time, value in points]


NUMBERS = "$d $d $e $i $i $u $f.low 0 1 2 3 -1 0.5 -0.0 1e300 9007199254740993 2.0"
LEAVES = {
    "number": NUMBERS.split(" "),
    "condition": ["$b", "$b", "true", "false", "($m == 'Idle')", "($b == 1)", "(0 != $b)"],
    "string": ["$s", "$s", "$m", "'ok'"],
}
SHAPES = {
    "number": [
        "(<number> <calculate> <number>)",
        "(<number> - <number> + <number>)",
        "-(<number>)",
        "<of a number>(<number>)",
        "<of two>(<number>, <number>)",
        "<extreme>(<number>, <number>, <number>)",
        "size(<string>)",
        "(<condition> ? <number> : <number>)",
        "<before>(<number>)",
        "delta(<number>)",
        "deriv(<number>)",
        'deriv(<number>, "1s")',
        "<of a window>(<number>, rolling(<length>))",
    ],
    "condition": [
        "(<number> <compare> <number>)",
        "(<string> <compare> <string>)",
        "(<condition> == <condition>)",
        "!(<condition>)",
        "(<condition> && <condition>)",
        "(<condition> || <condition> || <condition>)",
        "(<condition> ? <condition> : <condition>)",
        "(<number> in [1, 2.0, -0.0, 9007199254740993])",
        "(<string> in ['Failed', 'Idle'])",
        "<is>(<number>)",
        "<search>(<string>, <part>)",
        "persistence(<condition>, <length>)",
        "persistence(<number> >= 0, <length>)",
        "<before>(<condition>)",
        "<edge>(<condition>, rolling(<length>))",
    ],
    "string": [
        "(<condition> ? <string> : <string>)",
        "<before>(<string>)",
        "<edge>(<string>, rolling(<length>))",
    ],
}
WORDS = {
    "calculate": "+ - * / %",
    "compare": "== != < <= > >=",
    "of a number": "abs sqrt exp log log2 log10 sin cos tan asin acos atan floor ceil trunc round"
    " sign",
    "of two": "pow atan2 min max",
    "extreme": "min max",
    "before": "prev first last",
    "of a window": "avg avg sum sum stddev min max count first last",
    "length": "'1s' 1 '2s' 0.5 '10s' '10m'",
    "edge": "first last",
    "is": "isNaN isInf isFinite",
    "search": "contains startsWith endsWith matches",
    "part": "'' 'ERR' '7' 'é' 'I'",
}


FLAT = {
    "number": ["$d", "$i", "$u", "0.5", "3"],
    "condition": ["$b", "($i > 0)", "true"],
    "string": ["$s", "$m", "'Idle'"],
} | {kind: words.split() for kind, words in WORDS.items()}


def flat(shape: str) -> list[str]:
    """Everything that a shape can be over channels and literals."""
    kinds = re.findall("<([a-z ]+)>", shape)
    places = re.sub("<[a-z ]+>", "{}", shape)
    return [places.format(*parts) for parts in itertools.product(*map(FLAT.get, kinds))]


HARD = {
    "$d": [1.5, math.nan, 0.0, -0.0, 0.0, None, -2.0, math.inf, 2.0**63, 1e16, -1e16, 0.5, 3.0],
    "$i": [1, 0, 2**63 - 1, None, -(2**63), 3, 2, -1, 2**53 + 1, 7, 0],
    "$u": [2**64 - 1, 2**63, 5, 3, None, 0, 2**63 - 1, 2**53 + 1, 2],
    "$b": [True, True, True, None, True, False, True],
    "$s": ["ok", "", None, "ERROR 7", "é😀"],
    "$m": ["Idle", "Running", "Idle", None],
}
"""Values to trip over; their numbers have no common divisor, so that all of them meet."""


def hard_channels() -> dict[str, Channel]:
    """Channels with these values, at times with gaps at and around the age limit."""
    gaps = [S, S // 2, S, AGE_NS_MAX, S, S, AGE_NS_MAX + 1, 1, S, AGE_NS_MAX - 1, S, S]
    clock = np.cumsum([0, *gaps * 3]).tolist()
    return {
        name: Channel(KINDS[name], [(t, values[n % len(values)]) for n, t in enumerate(clock)])
        for name, values in HARD.items()
    }


@st.composite
def expressions(draw: st.DrawFn) -> str:
    """Expressions of any kind, flat or deep; some are made of literals only."""
    kind = draw(st.sampled_from(["number", "number", "condition", "condition", "string"]))
    return _shaped(draw, kind, draw(st.sampled_from([1, 1, 2, 3])))


def _shaped(draw: st.DrawFn, kind: str, depth: int) -> str:
    shape = draw(st.sampled_from(SHAPES[kind]))
    return re.sub("<([a-z ]+)>", lambda part: _part(draw, part[1], depth - 1), shape)


def _part(draw: st.DrawFn, kind: str, depth: int) -> str:
    if kind in WORDS:
        return draw(st.sampled_from(WORDS[kind].split()))
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        return draw(st.sampled_from(LEAVES[kind]))
    return _shaped(draw, kind, depth)
