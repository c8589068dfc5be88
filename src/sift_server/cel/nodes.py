"""The small tree that CEL text becomes.

It has what filters and expressions use of CEL: literals, names, members, calls, lists, comparisons,
arithmetic, logic and the conditional. A receiver is the first argument of its call, so that
`name.contains('x')` and `contains(name, 'x')` are one.

Every node says where it begins in the text, in characters from 0; nodes that mean the same are
equal wherever they stand.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class _Placed:
    at: int = field(default=0, compare=False, kw_only=True)


@dataclass(frozen=True, slots=True, eq=False)
class Literal(_Placed):
    """A string, number, bool or null.

    `1`, `1.0` and `true` are not the same, nor are `0.0` and `-0.0`.
    """

    value: str | int | float | bool | None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Literal) and self._written == other._written

    def __hash__(self) -> int:
        return hash(self._written)

    @property
    def _written(self) -> str:
        return repr(self.value)


@dataclass(frozen=True, slots=True)
class Name(_Placed):
    """A field."""

    text: str


@dataclass(frozen=True, slots=True)
class Entry(_Placed):
    """`target.key` or `target[key]`; unquoted keys of the second form are taken as written."""

    target: Node
    key: str
    is_quoted: bool


@dataclass(frozen=True, slots=True)
class Call(_Placed):
    """A function and its arguments; of a method, the receiver comes first."""

    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class ListOf(_Placed):
    """`[a, b]`."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Operation(_Placed):
    """`left operator right`, of `== != < <= > >= in + - * / %`."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Not(_Placed):
    """`!operand`."""

    operand: Node


@dataclass(frozen=True, slots=True)
class Negative(_Placed):
    """`-operand`."""

    operand: Node


@dataclass(frozen=True, slots=True)
class Every(_Placed):
    """`a && b && c`."""

    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either(_Placed):
    """`a || b || c`."""

    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice(_Placed):
    """`condition ? yes : no`."""

    condition: Node
    yes: Node
    no: Node


Node = Literal | Name | Entry | Call | ListOf | Operation | Not | Negative | Every | Either | Choice
