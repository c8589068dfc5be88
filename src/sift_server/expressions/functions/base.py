"""What a function of expressions is."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sift_server.expressions.signal import Signal
    from sift_server.expressions.values import Column, Type


AT_GAPS = "missing where an argument is"
"""What most functions of the values at one time give where some are missing."""


class FunctionError(Exception):
    """A function can't be called like that; the message says why, and not where."""


class Library(enum.Enum):
    """What functions are about."""

    MATH = "Mathematics"
    STRING = "Strings"
    STATEFUL = "Over time"
    SUMMARY = "Over a window of time"


@dataclass(frozen=True, slots=True)
class Example:
    """A call, and what comes of it.

    Attributes:
        expression: An expression over `$1`.
        given: Values of `$1`, one a second; None for one that is missing.
        result: What the expression is at each of them.
    """

    expression: str
    given: Sequence[Any]
    result: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Function:
    """A function.

    Attributes:
        name: Its name.
        library: What it is about.
        form: How a call is written, for people.
        result: How the result's type is told, for people.
        meaning: What it gives, in a sentence.
        at_gaps: What it gives where values are missing.
        example: A call.
    """

    name: str
    library: Library
    form: str
    result: str
    meaning: str
    at_gaps: str
    example: Example


@dataclass(frozen=True, slots=True)
class Pointwise(Function):
    """A function of the values at one time.

    Attributes:
        type_of: The type of the result, of the types of the arguments. Raises `FunctionError` if
            they are not what the function takes.
        call: Computes the result; at least one argument is no literal.
        check: Looks at the arguments that are literals, None for the others. Raises `FunctionError`
            if one is not good.
    """

    type_of: Callable[[Sequence[Type]], Type]
    call: Callable[[Sequence[Column]], Column]
    check: Callable[[Sequence[Any]], None] = lambda _: None


class Step(ABC):
    """A function over time in an expression: from a signal to one at the same times.

    What it has to remember between two pieces of a signal is a value that is never changed, so that
    whoever keeps it can go back to it. The result does not depend on where a signal was cut.
    """

    type: Type
    """The type of the result."""

    lookback_ns: int | None
    """What it gives depends on this much of the time before at the most; None if on all of it."""

    is_ageless: bool = False
    """Whether its last value is good however old it is."""

    @abstractmethod
    def advance(self, memory: Any, signal: Signal) -> tuple[Column, Any]:  # noqa: ANN401
        """Compute the result for the next piece; `memory` is None before the first.

        Returns:
            A value for each point of `signal`, and the memory after it.
        """


@dataclass(frozen=True, slots=True)
class OverTime(Function):
    """A function of a signal's values so far.

    Attributes:
        parameters: How many literals stand behind the signal: least and most.
        has_window: Whether the last argument is `rolling(...)`.
        make: Makes its step from the signal's type and the literals, a window as nanoseconds.
            Raises `FunctionError` if they are not what the function takes.
    """

    parameters: tuple[int, int]
    has_window: bool
    make: Callable[[Type, Sequence[Any]], Step]
