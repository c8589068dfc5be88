"""Checks YAML values against types: the classes of `spec` are the rules.

A type is `str`, `int`, a `Literal`, a `list`, a `dict`, a union, or a `TypedDict` of those. What a
type can't say is a rule beside it, in an `Annotated`. Pure: no files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    NotRequired,
    Protocol,
    TypeAlias,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from sift_py.ingestion._internal.shown import shown_plain

if TYPE_CHECKING:
    from collections.abc import Iterator

Place: TypeAlias = tuple[tuple[Any, str | int], ...]
"""Where a value stands: from the top, each container with the key or index taken in it."""

_SHOWN_CHARS_MAX = 60
"""How much of a wrong value a message shows."""


class Rule(Protocol):
    """What a type can't say of a value."""

    def check(self, value: Any, place: Place) -> None:  # noqa: ANN401  # YAML
        """Check a value that is of the type.

        Raises:
            MismatchError: It breaks the rule.
        """


class MismatchError(Exception):
    """A value is not what it should be.

    Attributes:
        header: What is wrong, in a sentence.
        place: Where.
        expected: What should be there.
        note: What is there, in few words; may be empty.
    """

    def __init__(self, header: str, place: Place, expected: str, note: str = "") -> None:
        super().__init__(header)
        self.header = header
        self.place = place
        self.expected = expected
        self.note = note

    def excerpt(self) -> str:
        """Show the place as YAML: the keys that lead there, and what is expected.

        Items of lists are shown with their names where they have one.
        """
        lines: list[str] = []
        margin = ""
        bullet = ""
        after = [*(key for _, key in self.place[1:]), None]
        for (container, key), next_key in zip(self.place, after, strict=True):
            if isinstance(key, str):
                lines.append(f"{margin}{bullet}{key}:")
                margin += "  " + " " * len(bullet)
                bullet = ""
                continue
            bullet = "- "
            item = container[key]
            name = item.get("name") if isinstance(item, dict) else None
            if next_key is None:
                lines.append(f"{margin}-")
            elif isinstance(name, str) and next_key != "name":
                lines.append(f"{margin}- name: {name}")
                margin += "  "
                bullet = ""
        lines[-1] += f" <{self.expected}>"
        if self.note:
            lines[-1] += f"  # {self.note}"
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class KeyPattern:
    """Rule: how the keys of a mapping are written.

    Attributes:
        what: What a key is, for messages.
        pattern: Regular expression that matches all of it.
        expected: The pattern in words.
    """

    what: str
    pattern: str
    expected: str

    def check(self, value: dict[str, Any], place: Place) -> None:
        """Check each key."""
        for key in value:
            if not re.fullmatch(self.pattern, key):
                raise MismatchError(
                    f"Invalid {self.what} key '{key}'. Expected {self.expected}.",
                    (*place, (value, key)),
                    f"invalid {self.what} key",
                )


@dataclass(frozen=True, slots=True)
class OnlyWithDataType:
    """Rule: a key of a channel that its data type asks for.

    Attributes:
        key: Required with that data type.
        data_type: The data type.
        shape: Type of the key's value.
        ignored_with: Data type that has no use for the key but may carry it.
    """

    key: str
    data_type: str
    shape: Any
    ignored_with: str

    def check(self, value: dict[str, Any], place: Place) -> None:
        """Check a channel."""
        place = (*place, (value, self.key))
        if value["data_type"] == self.data_type:
            check(value.get(self.key), self.shape, place)
        elif value.get(self.key) is not None and value["data_type"] != self.ignored_with:
            raise MismatchError(
                f"Channel of data-type '{value['data_type']}' should not have '{self.key}' set.",
                place,
                f"only with data_type: {self.data_type}",
            )


def check(value: Any, shape: Any, place: Place = ()) -> None:  # noqa: ANN401  # YAML, and any type
    """Check a value of a YAML file against a type.

    Keys that a `TypedDict` does not name are ignored; one that is not required may be null. A bool
    is no `int`, though Python has it so and the published client let it pass.

    Args:
        value: As PyYAML has it.
        shape: The type.
        place: Where the value stands.

    Raises:
        MismatchError: The value, or one inside it, is not of its type.
    """
    rules: list[Rule] = []
    if get_origin(shape) is Annotated:
        shape, *rules = get_args(shape)
    kind = next((one for one in _alternatives(shape) if _is_kind(value, one)), None)
    if kind is None:
        raise _mismatch(value, shape, place)
    if get_origin(kind) is dict:
        _check_keys(value, kind, place)
    for key, item, item_shape in _inside(value, kind):
        check(item, item_shape, (*place, (value, key)))
    for rule in rules:
        rule.check(value, place)


def _alternatives(shape: Any) -> tuple[Any, ...]:  # noqa: ANN401  # any type
    return get_args(shape) if get_origin(shape) is UnionType else (shape,)


def _is_kind(value: object, shape: Any) -> bool:  # noqa: ANN401  # any type
    """Whether a value is of a type, as far as can be said without looking into it."""
    origin = get_origin(shape)
    if shape is Any:
        return True
    if origin is Literal:
        return value in get_args(shape)
    if shape is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, dict if is_typeddict(shape) else origin or shape)


def _inside(value: Any, kind: Any) -> Iterator[tuple[str | int, Any, Any]]:  # noqa: ANN401  # YAML
    """Key, value and type of what is in a container; other values have nothing in them."""
    if get_origin(kind) is list:
        (item_shape,) = get_args(kind)
        for index, item in enumerate(value):
            yield index, item, item_shape
    elif get_origin(kind) is dict:
        _, item_shape = get_args(kind)
        for key, item in value.items():
            yield key, item, item_shape
    elif is_typeddict(kind):
        for key, item_shape, is_required in _fields(kind):
            item = value.get(key)
            if is_required or item is not None:
                yield key, item, item_shape


@cache
def _fields(shape: type) -> list[tuple[str, Any, bool]]:
    """Key, type and whether it is required, of each field of a `TypedDict`."""
    hints = get_type_hints(shape, include_extras=True)
    return [
        (key, get_args(hint)[0], False) if get_origin(hint) is NotRequired else (key, hint, True)
        for key, hint in hints.items()
    ]


def _check_keys(value: dict[Any, Any], shape: Any, place: Place) -> None:  # noqa: ANN401  # any type
    for key in value:
        if not isinstance(key, str):
            raise MismatchError(
                f"Expected the key '{key}' to be <str> but it is <{type(key).__name__}>",
                place,
                _describe(shape),
                f"a key is {key!r}; put it in quotes",
            )


def _mismatch(value: object, shape: Any, place: Place) -> MismatchError:  # noqa: ANN401  # any type
    container, key = place[-1]
    label = key if isinstance(key, str) else f"{place[-2][1]}[{key}]"
    expected = _describe(shape)
    note = ""
    if value is None:
        note = "it is null" if isinstance(key, int) or key in container else "it is missing"
    elif not isinstance(value, dict | list):
        note = f"it is {shown_plain(value, _SHOWN_CHARS_MAX)}" + (
            "; put it in quotes" if shape is str else ""
        )
    return MismatchError(
        f"Expected '{label}' to be <{expected}> but it is <{type(value).__name__}>",
        place,
        expected,
        note,
    )


def _describe(shape: Any) -> str:  # noqa: ANN401  # any type
    """Name a type as messages do, such as `List[FlowYamlSpec]`."""
    origin, arguments = get_origin(shape), get_args(shape)
    if origin is Annotated:
        return _describe(arguments[0])
    if origin is Literal:
        return " | ".join(map(str, arguments))
    if origin is UnionType:
        return " | ".join(map(_describe, arguments))
    if origin is list or origin is dict:
        return f"{origin.__name__.capitalize()}[{', '.join(map(_describe, arguments))}]"
    return str(shape.__name__)
