"""A slow, obvious evaluator of expressions: point by point, in plain Python.

It says what expressions mean. An integer is an int, a double a float, a missing value None; the
only thing that it shares with what it judges is the tree of the parser.
"""

from __future__ import annotations

import math
import operator
import re
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from sift_server import cel

AGE_NS_MAX = 600 * 10**9
INT_MIN, INT_MAX = -(2**63), 2**63 - 1
OF_DOUBLES = {
    **{name: getattr(np, name) for name in ("sqrt", "exp", "log", "log2", "log10")},
    **{name: getattr(np, name) for name in ("sin", "cos", "tan")},
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "atan2": np.arctan2,
    "pow": np.power,
}
"""What the last bit of a sine is, is up to the library."""

COMPARE = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
CALCULATE = {"+": operator.add, "-": operator.sub, "*": operator.mul}
NO_INTEGER = 2**70
"""What fits no type, and so is missing."""

ROUNDING = ("floor", "ceil", "trunc", "round")
KINDS = {
    **dict.fromkeys(("persistence", "contains", "startsWith", "endsWith", "matches"), "bool"),
    **dict.fromkeys(("isNaN", "isInf", "isFinite"), "bool"),
    **dict.fromkeys(("count", "size"), "int"),
}
"""What functions give whose type depends on nothing."""

OVER_TIME = ("prev", "delta", "deriv", "persistence", "first", "last")
WINDOWED = ("avg", "sum", "stddev", "min", "max", "count", "first", "last")

Points = list[tuple[int, Any]]


@dataclass(frozen=True)
class Channel:
    """What a reference stands for: its kind, one of double int uint bool string, and its points."""

    kind: str
    points: Points


def is_over_time(node: cel.Node) -> bool:
    """Whether it is a function over time."""
    if not isinstance(node, cel.Call):
        return False
    return node.function in OVER_TIME or any(map(is_window, node.arguments))


def is_window(node: cel.Node) -> bool:
    """Whether it is `rolling(...)`."""
    return isinstance(node, cel.Call) and node.function == "rolling"


class Oracle:
    """Evaluates expressions over some channels."""

    def __init__(self, channels: dict[str, Channel]) -> None:
        self.channels = channels

    def region(self, node: cel.Node) -> Points:
        """The value at each point of any leaf."""
        leaves = {leaf: self.leaf_points(leaf) for leaf in self.leaves(node)}
        times = sorted({time for points in leaves.values() for time, _ in points})
        return [(time, self.value(node, time, leaves)) for time in times]

    def leaves(self, node: cel.Node) -> list[cel.Node]:
        """Channels and functions over time that stand in a node, and in no function over time."""
        if isinstance(node, cel.Name | cel.Entry) or is_over_time(node):
            return [node]
        return [leaf for child in children(node) for leaf in self.leaves(child)]

    def leaf_points(self, leaf: cel.Node) -> Points:
        if isinstance(leaf, cel.Call):
            return self.over_time(leaf)
        return self.channels[name_of(leaf)].points

    def value(self, node: cel.Node, time: int, leaves: dict[cel.Node, Points]) -> Any:
        """The value of a node at a time, or None."""
        if node in leaves:
            before = [point for point in leaves[node] if point[0] <= time]
            is_ageless = isinstance(node, cel.Call) and node.function in ("first", "last")
            is_ageless = is_ageless and len(node.arguments) == 1
            if not before or (time - before[-1][0] > AGE_NS_MAX and not is_ageless):
                return None
            return before[-1][1]
        if isinstance(node, cel.Literal):
            return node.value
        if isinstance(node, cel.Every | cel.Either):
            values = [self.value(each, time, leaves) for each in node.operands]
            decides = isinstance(node, cel.Either)
            if decides in values:
                return decides
            return None if None in values else not decides
        if isinstance(node, cel.Choice):
            condition = self.value(node.condition, time, leaves)
            if condition is None:
                return None
            chosen = self.value(node.yes if condition else node.no, time, leaves)
            return self.fitted(node, chosen)
        if isinstance(node, cel.Operation) and node.operator == "in":
            assert isinstance(node.right, cel.ListOf)
            subject = self.value(node.left, time, leaves)
            return (
                None
                if subject is None
                else any(subject == self.value(item, time, leaves) for item in node.right.items)
            )
        values = [self.value(each, time, leaves) for each in children(node)]
        if None in values:
            return None
        return self.fitted(node, apply(node, values))

    def fitted(self, node: cel.Node, value: Any) -> Any:
        """An integer that fits its type, or None; a double if that is what the node is."""
        kind = self.kind(node)
        if value is None or kind not in ("double", "int", "uint"):
            return value
        if kind == "double":
            return float(value)
        low, high = (0, 2**64 - 1) if kind == "uint" else (INT_MIN, INT_MAX)
        return value if low <= value <= high else None

    def kind(self, node: cel.Node) -> str:
        """The type of a node."""
        if isinstance(node, cel.Literal):
            return {bool: "bool", int: "int", float: "double", str: "string"}[type(node.value)]
        if isinstance(node, cel.Name | cel.Entry):
            return self.channels[name_of(node)].kind
        match node:
            case cel.Not() | cel.Every() | cel.Either():
                return "bool"
            case cel.Negative(operand):
                return "double" if self.kind(operand) == "double" else "int"
            case cel.Choice(_, yes, no):
                return common([self.kind(yes), self.kind(no)])
            case cel.Operation(sign, left, right):
                if sign in COMPARE or sign == "in":
                    return "bool"
                kinds = [self.kind(left), self.kind(right)]
                return "double" if sign == "/" or "double" in kinds else "int"
        assert isinstance(node, cel.Call)
        return self.kind_of_call(node.function, node.arguments)

    def kind_of_call(self, function: str, arguments: tuple[cel.Node, ...]) -> str:
        if function in KINDS:
            return KINDS[function]
        kinds = [self.kind(each) for each in arguments if not is_window(each)]
        match function:
            case "delta":
                return "double" if kinds[0] == "double" else "int"
            case "prev" | "first" | "last" | "abs":
                return kinds[0]
            case "min" | "max":
                return common(kinds)
        return "double"

    def over_time(self, call: cel.Call) -> Points:
        """A function over time, at each point of its argument."""
        points = self.region(call.arguments[0])
        if is_window(call.arguments[-1]):
            window = call.arguments[-1]
            assert isinstance(window, cel.Call)
            assert isinstance(window.arguments[0], cel.Literal)
            length = nanoseconds(window.arguments[0].value)
            return [
                (
                    time,
                    over_window(
                        call.function,
                        [
                            value
                            for at, value in points
                            if time - length < at <= time and value is not None
                        ],
                    ),
                )
                for time, _ in points
            ]
        literals = [each.value for each in call.arguments[1:] if isinstance(each, cel.Literal)]
        found = []
        for place, (time, value) in enumerate(points):
            so_far = [each for _, each in points[: place + 1] if each is not None]
            before = points[place - 1] if place else (time, None)
            if time - before[0] > AGE_NS_MAX:
                before = (before[0], None)
            match call.function:
                case "first":
                    result = so_far[0] if so_far else None
                case "last":
                    result = so_far[-1] if so_far else None
                case "prev":
                    result = before[1]
                case "delta" | "deriv":
                    result = None
                    if value is not None and before[1] is not None:
                        result = self.difference(call, value, before[1])
                    if call.function == "deriv" and result is not None:
                        per = nanoseconds(literals[0]) if literals else 1_000_000
                        result = divided(float(result), (time - before[0]) / per)
                case _:
                    result = persists(points[: place + 1], nanoseconds(literals[0]))
            found.append((time, result))
        return found

    def difference(self, call: cel.Call, value: Any, before: Any) -> Any:
        if self.kind(call.arguments[0]) == "double":
            return value - before
        in_range = all(INT_MIN <= each <= INT_MAX for each in (value, before, value - before))
        return value - before if in_range else None


def children(node: cel.Node) -> tuple[cel.Node, ...]:
    match node:
        case cel.Not(operand) | cel.Negative(operand):
            return (operand,)
        case cel.Every(operands) | cel.Either(operands):
            return operands
        case cel.Operation(_, left, right):
            return (left, right)
        case cel.Choice(condition, yes, no):
            return (condition, yes, no)
        case cel.Call(_, arguments):
            return arguments
        case cel.ListOf(items):
            return items
    return ()


def name_of(node: cel.Node) -> str:
    if isinstance(node, cel.Entry):
        return f"{name_of(node.target)}.{node.key}"
    assert isinstance(node, cel.Name)
    return node.text


def common(kinds: list[str]) -> str:
    if len(set(kinds)) == 1:
        return kinds[0]
    return "double" if "double" in kinds else "int"


def nanoseconds(written: Any) -> int:
    if not isinstance(written, str):
        return int(Fraction(repr(written)) * 10**9)
    units = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9}
    amount, unit = re.fullmatch(r"([0-9.]+)([a-z]+)", written).groups()
    return int(Fraction(amount) * units[unit])


def apply(node: cel.Node, values: list[Any]) -> Any:
    match node:
        case cel.Not():
            return not values[0]
        case cel.Negative():
            # Who calculates with an integer has int64.
            return NO_INTEGER if isinstance(values[0], int) and values[0] > INT_MAX else -values[0]
        case cel.Operation(sign):
            return operate(sign, *values)
    assert isinstance(node, cel.Call)
    return call_of(node.function, values)


def operate(sign: str, left: Any, right: Any) -> Any:
    if sign in COMPARE:
        return COMPARE[sign](left, right)
    if sign == "/":
        return divided(float(left), float(right))
    if isinstance(left, int) and isinstance(right, int):
        # Who calculates with an integer has int64.
        if not (INT_MIN <= left <= INT_MAX and INT_MIN <= right <= INT_MAX):
            return NO_INTEGER
        if sign == "%":
            return int(math.copysign(1, left)) * (abs(left) % abs(right)) if right else NO_INTEGER
        return CALCULATE[sign](left, right)
    left, right = float(left), float(right)
    if sign != "%":
        return CALCULATE[sign](left, right)
    if math.isnan(left) or math.isnan(right) or math.isinf(left) or right == 0:
        return math.nan
    return math.fmod(left, right)


def divided(left: float, right: float) -> float:
    if right != 0:
        return left / right
    if left == 0 or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1, right)


def sign(value: Any) -> float:
    if value == 0:
        return 0.0
    return math.nan if math.isnan(value) else math.copysign(1.0, value)


POINTWISE = {
    "contains": lambda text, part: part in text,
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "matches": lambda text, pattern: re.search(pattern, text) is not None,
    "size": len,
    "abs": abs,
    "isNaN": math.isnan,
    "isInf": math.isinf,
    "isFinite": math.isfinite,
    "sign": sign,
}


def call_of(function: str, values: list[Any]) -> Any:
    if function in POINTWISE:
        return POINTWISE[function](*values)
    if function in ("min", "max"):
        return extreme(function, values)
    doubles = [float(value) for value in values]
    if function in ROUNDING:
        return rounded(function, doubles[0])
    with np.errstate(all="ignore"):
        return float(OF_DOUBLES[function](*(np.array([each]) for each in doubles))[0])


def extreme(function: str, values: list[Any]) -> Any:
    """The smallest or largest; of those that are alike the last one."""
    if any(isinstance(value, float) for value in values):
        values = [float(value) for value in values]
    if any(math.isnan(value) for value in values):
        return math.nan
    best = min(values) if function == "min" else max(values)
    return [value for value in values if value == best][-1]


def rounded(function: str, value: float) -> float:
    if not math.isfinite(value):
        return value
    if function == "round":
        exact = Fraction(abs(value))
        whole = math.floor(exact + Fraction(1, 2))
    else:
        whole = abs(getattr(math, function)(value))
    return math.copysign(float(whole), value)


def over_window(function: str, values: list[Any]) -> Any:
    if function == "count":
        return len(values)
    if not values:
        return None
    if function in ("first", "last"):
        return values[0 if function == "first" else -1]
    if function in ("min", "max"):
        return extreme(function, values)
    special = [value for value in values if isinstance(value, float) and not math.isfinite(value)]
    if special:
        return math.nan if function == "stddev" else sum(special)
    if function == "stddev":
        return stddev([float(value) for value in values])
    total = sum(map(Fraction, values))
    double = to_double(total)
    if function == "sum":
        return double
    if math.isfinite(double):
        return double / len(values)
    # A sum may be too large for a double where the average is not.
    return to_double(Fraction(float(total / 2**64)) / len(values) * 2**64)


def to_double(number: Fraction) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def stddev(values: list[float]) -> float:
    exact = [Fraction(value) for value in values]
    average = sum(exact) / len(exact)
    variance = sum((value - average) ** 2 for value in exact) / len(exact)
    context = Context(prec=60, Emax=10**6, Emin=-(10**6))
    over, under = Decimal(variance.numerator), Decimal(variance.denominator)
    return float(context.sqrt(context.divide(over, under)))


def persists(points: Points, length: int) -> bool | None:
    if points[-1][1] is None:
        return None
    since = None
    before = points[0][0]
    for time, value in points:
        if time - before > AGE_NS_MAX or not value:
            since = None
        if value and since is None:
            since = time
        before = time
    return since is not None and points[-1][0] - since >= length
