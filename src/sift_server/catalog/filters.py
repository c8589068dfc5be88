"""List filters: CEL text to a condition of SQL.

A filter is evaluated by the database. Every condition is true or false, never NULL, as in CEL: a
field without a value equals `null` only, is neither less nor greater than anything, and `!` turns
every answer around.
"""

from __future__ import annotations

import json
import operator
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import ColumnElement, and_, false, func, not_, or_, true

from sift_server import cel
from sift_server.catalog import patterns
from sift_server.catalog.fields import Condition, Field, Filterable, Kind, MetadataField, has_row
from sift_server.catalog.moments import duration_ns, in_64_bits, timestamp_ns, year_start_ns
from sift_server.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FILTER_CHARS_MAX = 512 * 1024
"""Longest filter text."""

FILTER_TOKENS_MAX = 32_000
"""How many names, literals and signs a filter may have: 10,000 negative numbers in a list."""

FILTER_OPERATIONS_MAX = 500
"""How many comparisons, operators, calls, fields and literals a filter may have, all together.

A field or literal that is a condition by itself (`is_archived`) counts as two. What stands in lists
counts towards `FILTER_LIST_ITEMS_MAX`; towards this too where it has to be compared item by item:
`null`, bools, an empty string for a field that may be missing, all items behind `'literal' in`.
"""

FILTER_LIST_ITEMS_MAX = 10_000
"""How many items the lists of a filter may have."""

FILTER_PATTERN_CHARS_MAX = 1_000
"""Longest regular expression of `matches`."""


_DIALECT = cel.Dialect(
    noun="filter",
    chars_max=FILTER_CHARS_MAX,
    tokens_max=FILTER_TOKENS_MAX,
    too_long="ask in several calls",
    example='name == "a" && created_date > timestamp("2026-01-01T00:00:00Z")',
    elements=(
        "fields, literals, lists, `== != < <= > >= in && || ! + -`, parentheses and functions"
    ),
)


def where(text: str, filterable: Filterable, now_ns: int) -> Condition:
    """Translate a filter; an empty one is true of every row.

    Raises:
        InvalidArgumentError: It is no filter of this resource; says what of it, and what can be
            filtered.
    """
    if not text.strip():
        return true()
    return _Translator(filterable, now_ns).condition(cel.parse(text, _DIALECT))


@dataclass(frozen=True, slots=True)
class _Operand:
    """One side of a comparison: a column, or a literal.

    Attributes:
        value: A `ColumnElement`, or a Python value if `is_literal`; of metadata, a `_Metadata`.
        written: How the filter wrote it, for messages.
        names: As of the field that it is.
    """

    kind: Kind
    value: Any
    written: str
    is_literal: bool = False
    is_nullable: bool = False
    within: Callable[[Condition], Condition] | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Metadata:
    field: MetadataField
    key: str
    is_quoted: bool


_COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_FLIPPED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_PATTERNS: Mapping[str, Callable[[str], str]] = {
    "contains": patterns.escaped,
    "startsWith": lambda text: f"^{patterns.escaped(text)}",
    "endsWith": lambda text: f"{patterns.escaped(text)}$",
    "matches": lambda text: text,
}
_SUMS = {
    (Kind.NUMBER, Kind.NUMBER): Kind.NUMBER,
    (Kind.DURATION, Kind.DURATION): Kind.DURATION,
    (Kind.TIME, Kind.DURATION): Kind.TIME,
}
_LISTABLE = (Kind.TEXT, Kind.NUMBER, Kind.TIME, Kind.DURATION)
_FUNCTIONS = "contains, startsWith, endsWith, matches, size, timestamp, duration, now, getFullYear"


class _Translator:
    """Translates one filter."""

    def __init__(self, filterable: Filterable, now_ns: int) -> None:
        self._filterable = filterable
        self._now_ns = now_ns
        self._operations_left = FILTER_OPERATIONS_MAX
        self._items_left = FILTER_LIST_ITEMS_MAX

    def condition(self, node: cel.Node) -> Condition:
        """Translate what is to be true or false."""
        self._count_operation()
        if isinstance(node, cel.Every):
            return and_(*[self.condition(operand) for operand in node.operands])
        if isinstance(node, cel.Either):
            return or_(*[self.condition(operand) for operand in node.operands])
        if isinstance(node, cel.Not):
            return not_(self.condition(node.operand))
        if isinstance(node, cel.Operation) and node.operator == "in":
            return self._is_in(node)
        if isinstance(node, cel.Operation) and node.operator in _COMPARE:
            return self._compare(node.operator, self._operand(node.left), self._operand(node.right))
        if isinstance(node, cel.Call) and node.function in _PATTERNS:
            return self._matches(node)
        return self._compare("==", self._operand(node), _Operand(Kind.BOOL, True, "true", True))

    def _compare(self, sign: str, left: _Operand, right: _Operand) -> Condition:
        if left.is_literal and not right.is_literal:
            sign, left, right = _FLIPPED[sign], right, left
        if sign == "!=":
            return not_(self._compare("==", left, right))
        left, right = _fit(left, right)
        self._check_comparable(sign, left, right)
        if sign == "==":
            _check_named(left, right)
        if right.kind is Kind.NULL:
            return _is_missing(left)
        if left.kind is Kind.YEAR:
            return _guarded(left, _compare_year(sign, left.value, right.value))
        if left.is_literal:
            return true() if _COMPARE[sign](left.value, right.value) else false()
        if left.kind is Kind.BOOL and right.is_literal:
            return _guarded(left, left.value if right.value else not_(left.value))
        found = _guarded(left, _COMPARE[sign](left.value, right.value), right)
        if sign == "==" and right.is_literal and right.value == "" and _is_optional_text(left):
            return or_(found, left.value.is_(None))
        return found

    def _check_comparable(self, sign: str, left: _Operand, right: _Operand) -> None:
        by_equality_only = (Kind.BOOL, Kind.NULL)
        fits = left.kind is right.kind or right.kind is Kind.NULL
        if left.kind is Kind.YEAR:
            fits = right.kind in (Kind.NUMBER, Kind.NULL)
        if left.kind is Kind.METADATA:
            fits = False
        if not fits or (right.kind in by_equality_only and sign != "=="):
            raise self._error(
                f"compares {left.written}, which is {left.kind.value}, with {right.written},"
                f" which is {right.kind.value}, by {sign}"
            )
        if not right.is_literal and (right.within is not None or left.kind is Kind.YEAR):
            raise self._error(f"can compare {left.written} with a literal only")

    def _is_in(self, node: cel.Operation) -> Condition:
        if not isinstance(node.right, cel.ListOf):
            raise self._error('needs a list behind `in`, such as ["a", "b"]')
        left = self._operand(node.left)
        operands: dict[Kind, _Operand] = {}
        listed: dict[Kind, list[Any]] = {}
        conditions = []
        for node_of_item in node.right.items:
            item = self._item(node_of_item)
            one, literal = _fit(left, item)
            if left.is_literal or not _is_listable(one, literal):
                self._count_operation()
                conditions.append(self._compare("==", left, item))
            else:
                _check_named(one, literal)
                operands[one.kind] = one
                listed.setdefault(one.kind, []).append(literal.value)
        # However long a list is, it is one operation, which the database looks up in an index.
        conditions += [_guarded(one, one.value.in_(listed[kind])) for kind, one in operands.items()]
        return or_(false(), *conditions)

    def _item(self, node: cel.Node) -> _Operand:
        self._items_left -= 1
        if self._items_left < 0:
            raise self._error(f"has more than {FILTER_LIST_ITEMS_MAX:,} list items")
        item = self._value(node)
        if not item.is_literal:
            raise self._error(f"has {item.written} in a list, where only literals can be")
        return item

    def _matches(self, node: cel.Call) -> Condition:
        subject, pattern = (self._operand(argument) for argument in self._arguments(node, 2))
        if pattern.kind is not Kind.TEXT or not pattern.is_literal:
            raise self._error(f"needs a string literal as the argument of {node.function}()")
        subject = _as_text(subject)
        if subject.kind is not Kind.TEXT:
            raise self._error(
                f"calls {node.function}() on {subject.written}, which is {subject.kind.value}"
            )
        regex = _PATTERNS[node.function](pattern.value)
        self._check_regex(node.function, regex)
        if subject.is_literal:
            return true() if patterns.is_found(regex, subject.value) else false()
        return _guarded(subject, subject.value.regexp_match(regex))

    def _check_regex(self, function: str, regex: str) -> None:
        if function == "matches" and len(regex) > FILTER_PATTERN_CHARS_MAX:
            raise self._error(
                f"has a regular expression of {len(regex):,} characters; the limit is"
                f" {FILTER_PATTERN_CHARS_MAX:,}"
            )
        try:
            patterns.check(regex)
        except patterns.PatternError as error:
            raise self._error(
                f"has {cel.shortened(regex)} for {function}(), which can't be searched for: {error}"
            ) from None

    def _operand(self, node: cel.Node) -> _Operand:
        self._count_operation()
        return self._value(node)

    def _value(self, node: cel.Node) -> _Operand:
        match node:
            case cel.Literal(value):
                return _literal(value)
            case cel.Name(text):
                return self._field(text)
            case cel.Entry(cel.Name(text), key, is_quoted):
                return self._entry(text, key, is_quoted)
            case cel.Negative(operand):
                return self._negative(self._operand(operand))
            case cel.Operation("+" | "-" as sign, left, right):
                return self._sum(sign, self._operand(left), self._operand(right))
            case cel.Call():
                return self._call(node)
            case _:
                raise self._error("has a list or a condition where a value is needed")

    def _field(self, name: str) -> _Operand:
        field = self._filterable.fields.get(name)
        if not isinstance(field, Field):
            raise self._unknown(name)
        return _Operand(
            field.kind,
            field.column,
            name,
            is_nullable=field.is_nullable,
            within=field.within,
            names=field.names,
        )

    def _entry(self, name: str, key: str, is_quoted: bool) -> _Operand:
        field = self._filterable.fields.get(name)
        if not isinstance(field, MetadataField):
            raise self._unknown(f"{name}.{key}")
        return _Operand(Kind.METADATA, _Metadata(field, key, is_quoted), f'{name}["{key}"]')

    def _negative(self, operand: _Operand) -> _Operand:
        if not operand.is_literal or operand.kind not in (Kind.NUMBER, Kind.DURATION):
            raise self._error(f"can't negate {operand.written}")
        written = f"-{operand.written}"
        return replace(operand, value=in_64_bits(-operand.value, written), written=written)

    def _sum(self, sign: str, left: _Operand, right: _Operand) -> _Operand:
        kind = _SUMS.get((left.kind, right.kind))
        if sign == "-" and left.kind is right.kind is Kind.TIME:
            kind = Kind.DURATION
        if sign == "+" and (left.kind, right.kind) == (Kind.DURATION, Kind.TIME):
            kind = Kind.TIME
        written = f"{left.written} {sign} {right.written}"
        if kind is None or left.within or right.within:
            raise self._error(f"can't compute {written}")
        value = left.value + right.value if sign == "+" else left.value - right.value
        is_literal = left.is_literal and right.is_literal
        if is_literal:
            value = in_64_bits(value, written)
        return _Operand(
            kind, value, written, is_literal, is_nullable=left.is_nullable or right.is_nullable
        )

    def _call(self, node: cel.Call) -> _Operand:
        written = f"{node.function}(...)"
        if node.function == "now":
            self._arguments(node, 0)
            return _Operand(Kind.TIME, self._now_ns, written, is_literal=True)
        if node.function in ("timestamp", "duration"):
            return self._moment(node, written)
        if node.function == "size":
            return self._size(node, written)
        if node.function == "getFullYear":
            (operand,) = (self._operand(argument) for argument in self._arguments(node, 1))
            if operand.kind is not Kind.TIME or operand.is_literal:
                raise self._error(f"needs a field of time for getFullYear(), not {operand.written}")
            return replace(operand, kind=Kind.YEAR, written=written)
        raise self._error(f"calls {node.function}(); the functions are {_FUNCTIONS}")

    def _moment(self, node: cel.Call, written: str) -> _Operand:
        (operand,) = (self._operand(argument) for argument in self._arguments(node, 1))
        kind = Kind.TIME if node.function == "timestamp" else Kind.DURATION
        if operand.kind is kind:
            return operand
        if operand.is_literal and operand.kind is Kind.TEXT:
            parse = timestamp_ns if kind is Kind.TIME else duration_ns
            return _Operand(kind, parse(operand.value), written, is_literal=True)
        if operand.is_literal and kind is Kind.TIME and isinstance(operand.value, int):
            value = in_64_bits(operand.value * 1_000_000_000, written)
            return _Operand(kind, value, written, is_literal=True)
        raise self._error(f"needs a string literal as the argument of {node.function}()")

    def _size(self, node: cel.Call, written: str) -> _Operand:
        (operand,) = (self._operand(argument) for argument in self._arguments(node, 1))
        operand = _as_text(operand)
        if operand.kind is not Kind.TEXT:
            raise self._error(f"needs a string for size(), not {operand.written}")
        size = len(operand.value) if operand.is_literal else func.length(operand.value)
        return replace(operand, kind=Kind.NUMBER, value=size, written=written)

    def _arguments(self, node: cel.Call, count: int) -> tuple[cel.Node, ...]:
        if len(node.arguments) != count:
            raise self._error(
                f"calls {node.function}() with {len(node.arguments)} arguments, the receiver"
                f" among them; it takes {count}"
            )
        return node.arguments

    def _count_operation(self) -> None:
        self._operations_left -= 1
        if self._operations_left < 0:
            raise self._error(
                f"has more than {FILTER_OPERATIONS_MAX} operations; use `in [...]` for many values"
            )

    def _unknown(self, name: str) -> InvalidArgumentError:
        why = self._filterable.missing.get(name)
        if why is not None:
            return InvalidArgumentError(
                f"the filter can't ask {self._resource} for {name} yet: {why}"
            )
        return self._error(f"names the field {cel.shortened(name)}, which {self._resource} lack")

    def _error(self, what: str) -> InvalidArgumentError:
        return InvalidArgumentError(
            f"the filter {what}; {self._resource} can be filtered by {self._filterable.names()}"
        )

    @property
    def _resource(self) -> str:
        return self._filterable.resource


def _literal(value: object) -> _Operand:
    kind = Kind.NULL
    if isinstance(value, bool):
        kind = Kind.BOOL
    elif isinstance(value, str):
        kind = Kind.TEXT
    elif isinstance(value, int | float):
        kind = Kind.NUMBER
    written = cel.shortened(value) if isinstance(value, str) else json.dumps(value)
    return _Operand(kind, value, written, is_literal=True)


def _fit(left: _Operand, right: _Operand) -> tuple[_Operand, _Operand]:
    """Give both sides one kind, where the literal on the right leaves no doubt."""
    if left.kind is Kind.METADATA and right.is_literal:
        entry = cast("_Metadata", left.value)
        if right.kind is Kind.TEXT and not entry.is_quoted:
            right = _literal(_unwrapped(right.value))
        return _metadata_value(left, entry, right.kind), right
    if right.kind is Kind.TEXT and right.is_literal:
        if left.kind is Kind.TIME:
            return left, replace(right, kind=Kind.TIME, value=timestamp_ns(right.value))
        if left.kind is Kind.DURATION:
            return left, replace(right, kind=Kind.DURATION, value=duration_ns(right.value))
    return left, right


def _check_named(left: _Operand, right: _Operand) -> None:
    if left.names and right.is_literal and right.kind is Kind.TEXT is left.kind:
        if right.value in left.names:
            return
        raise InvalidArgumentError(
            f"the filter compares {left.written} with {right.written}, which it never is; it is one"
            f" of {', '.join(left.names)}"
        )


def _as_text(operand: _Operand) -> _Operand:
    if operand.kind is Kind.METADATA:
        return _metadata_value(operand, operand.value, Kind.TEXT)
    return operand


def _metadata_value(left: _Operand, entry: _Metadata, kind: Kind) -> _Operand:
    """The value of a metadata entry, of the kind that it is compared with."""
    table = entry.field.table
    columns = {
        Kind.TEXT: table.c.string_value,
        Kind.NUMBER: table.c.number_value,
        Kind.BOOL: table.c.boolean_value,
        Kind.NULL: table.c.key,
    }
    if kind not in columns:
        return left

    def within(condition: Condition) -> Condition:
        return has_row(
            table.c.owner_id == entry.field.owner_id, table.c.key == entry.key, condition
        )

    return _Operand(kind, columns[kind], left.written, is_nullable=True, within=within)


_CALLED = re.compile(r"(?:double|int|uint|bool)\((.*)\)", re.DOTALL)


def _unwrapped(text: str) -> object:
    """The value that published clients wrap twice: `'x'` of a string, `double(5)` of a number."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return cel.unescape(text[1:-1], _DIALECT.noun)
    called = _CALLED.fullmatch(text)
    inner = called[1] if called else text
    if inner in ("true", "false"):
        return inner == "true"
    if called:
        try:
            return float(inner)
        except ValueError:
            return text
    return text


def _is_listable(left: _Operand, literal: _Operand) -> bool:
    """Whether being in a list is the same as being one of the values of an SQL list."""
    if literal.value == "" and _is_optional_text(left):
        return False
    return left.kind is literal.kind and left.kind in _LISTABLE


def _is_optional_text(operand: _Operand) -> bool:
    """Whether clients read a missing value as an empty string."""
    return operand.kind is Kind.TEXT and operand.is_nullable and operand.within is None


def _is_missing(operand: _Operand) -> Condition:
    if operand.is_literal:
        return true() if operand.kind is Kind.NULL else false()
    if operand.within is not None:
        return not_(operand.within(true()))
    missing: Condition = operand.value.is_(None) if operand.is_nullable else false()
    return missing


def _guarded(left: _Operand, condition: Condition, right: _Operand | None = None) -> Condition:
    """Make a condition false, not NULL, where a value is missing."""
    nullable = [one.value for one in (left, right) if one is not None and one.is_nullable]
    guarded = and_(*[value.is_not(None) for value in nullable], condition)
    return left.within(guarded) if left.within is not None else guarded


def _compare_year(sign: str, column: ColumnElement[int], year: float) -> Condition:
    if not float(year).is_integer():
        raise InvalidArgumentError(f"the filter compares a year with {year}, which is none")
    start_ns, next_ns = year_start_ns(int(year)), year_start_ns(int(year) + 1)
    conditions: dict[str, Condition] = {
        "==": and_(column >= start_ns, column < next_ns),
        "<": column < start_ns,
        "<=": column < next_ns,
        ">": column >= next_ns,
        ">=": column >= start_ns,
    }
    return conditions[sign]
