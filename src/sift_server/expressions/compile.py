"""Expression text to what evaluates it: parsed, with every type checked before there is data."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sift_server import cel
from sift_server.errors import InvalidArgumentError
from sift_server.expressions import operators
from sift_server.expressions.durations import DurationError, duration_ns
from sift_server.expressions.functions import FUNCTIONS, FunctionError, OverTime, Pointwise
from sift_server.expressions.program import Expression, Input, Leaf, Region, StepLeaf
from sift_server.expressions.scope import ExpressionError, Scope, Whole, listed, parsed
from sift_server.expressions.source import Nested, Source
from sift_server.expressions.values import Column, Type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sift_server.expressions.functions.base import Step
    from sift_server.expressions.source import Named

_ARITHMETIC = frozenset("+-*/%")

_CLOSE = 0.75
"""How much a name has in common with one that was meant: stdev with stddev, not int with sin."""

_DIGITS = re.compile(r"0|[1-9][0-9]{0,9}")
"""What a number of an enum is called that has no name."""


def compile_expression(
    text: str,
    references: Mapping[str, Named],
    find: Callable[[str], Named | None] = lambda _: None,
    owner: object = None,
) -> Expression:
    """Compile an expression.

    Args:
        text: The expression.
        references: What `$1` and the like stand for.
        find: Finds what a name stands for that is in the text, or returns None.
        owner: What it is a version of; see `Nested`.

    Raises:
        InvalidArgumentError: It is not CEL, names what is not there, or its types do not fit.

    Example:
        ```python
        speed = Source("speed", "channel-7", Type.DOUBLE)
        expression = compile_expression("$1 > 400", {"$1": speed})
        truth, memory = expression.advance(None, [Signal(times_ns, Column(Type.DOUBLE, values))])
        ```
    """
    node = parsed(text)

    def named(name: str) -> Named | None:
        return references[name] if name in references else find(name)

    scope = Scope(text, named, references, Whole(), (), (owner,))
    region = _RegionCompiler(scope).compiled(node)
    if not scope.whole.sources:
        raise scope.error(node, "names no channel, so that there is nothing to evaluate it on")
    whole = scope.whole
    return Expression(text, tuple(whole.sources), region, tuple(whole.nested))


def compile_condition(
    text: str,
    references: Mapping[str, Named],
    find: Callable[[str], Named | None] = lambda _: None,
) -> Expression:
    """Compile an expression that has to be true or false, as `compile_expression` does."""
    expression = compile_expression(text, references, find)
    check_condition(expression)
    return expression


def check_condition(expression: Expression) -> None:
    """Check that an expression is true or false.

    Raises:
        InvalidArgumentError: It is something else.
    """
    if expression.type is not Type.BOOL:
        raise InvalidArgumentError(
            f"the expression {cel.shortened(expression.text)} is {expression.type.value}, not a"
            " condition: compare it with something, such as `... > 0`"
        )


@dataclass(frozen=True, slots=True)
class _Typed:
    """A part of an expression.

    Attributes:
        node: Where it stands.
        type: Its type.
        literal: Its value, of a literal or what is made of literals only.
        compute: Computes it from the columns of its region; None for a literal.
        source: The channel, or calculated channel, that it is; None if it is none.
    """

    node: cel.Node
    type: Type
    literal: Column | None = None
    compute: Callable[[Sequence[Column]], Column] | None = None
    source: Source | None = None

    @property
    def what(self) -> str:
        """What it is, for messages."""
        if self.source is None:
            return self.type.value
        kind = self.type.value if self.source.choices is None else "an enum"
        return f"{self.source.name} ({kind})"


class _RegionCompiler:
    """Compiles one region; see `Region`."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        # By the index of the channel, or the call of the function over time and where it stands.
        self._leaves: dict[object, tuple[int, Leaf]] = {}

    def compiled(self, node: cel.Node) -> Region:
        """Compile what is computed at the points of the channels and functions that it names."""
        return self.region(self.typed(node))

    def region(self, typed: _Typed) -> Region:
        """What evaluates the whole region."""
        leaves = tuple(leaf for _, leaf in self._leaves.values())
        return Region(typed.type, leaves, _computed(typed))

    def typed(self, node: cel.Node) -> _Typed:
        """Compile a node and those below it."""
        whole = self._scope.whole
        self._scope.count(node)
        whole.depth += 1
        match node:
            case cel.Literal():
                typed = self._literal(node)
            case cel.Name() | cel.Entry():
                typed = self._channel(node)
            case cel.Negative(operand):
                typed = self._negative(node, self.typed(operand))
            case cel.Not() | cel.Every() | cel.Either():
                typed = self._logic(node)
            case cel.Choice():
                typed = self._choice(node)
            case cel.Operation():
                typed = self._operation(node)
            case cel.Call():
                typed = self._call(node)
            case _:
                raise self._scope.error(
                    node, "has a list, which can stand behind `in` only: `$1 in [1, 2]`"
                )
        whole.depth -= 1
        return typed

    def _literal(self, node: cel.Literal) -> _Typed:
        kinds = {bool: Type.BOOL, int: Type.INT, float: Type.DOUBLE, str: Type.STRING}
        kind = kinds.get(type(node.value))
        if kind is None:
            raise self._scope.error(
                node, "has null; what is missing makes a result missing by itself"
            )
        return _Typed(node, kind, Column(kind, node.value))

    def _channel(self, node: cel.Node) -> _Typed:
        found = self._scope.named(node)
        if isinstance(found, Nested):
            return self._nested(node, found)
        index = self._scope.source_index(node, found)
        assert found.type is not None  # noqa: S101 - `named` has refused those
        return self._leaf(node, index, Input(index, found.type), found)

    def _nested(self, node: cel.Node, nested: Nested) -> _Typed:
        """Compile what is nested as a part of this region."""
        outer = self._scope
        self._scope = outer.inside(node, nested)
        try:
            typed = self.typed(parsed(nested.text))
        except InvalidArgumentError as error:
            raise outer.error(
                node, f"names the calculated channel {nested.name}: {error}"
            ) from None
        finally:
            self._scope = outer
        source = Source(nested.name, nested.key, typed.type)
        if typed.source is not None:
            inner = typed.source
            source = replace(source, choices=inner.choices, named_digits=inner.named_digits)
        return replace(typed, node=node, source=source)

    def _leaf(
        self, node: cel.Node, key: object, leaf: Leaf, source: Source | None = None
    ) -> _Typed:
        place, leaf = self._leaves.setdefault(key, (len(self._leaves), leaf))
        return _Typed(node, leaf.type, None, lambda columns: columns[place], source)

    def _operation(self, node: cel.Operation) -> _Typed:
        match node.operator:
            case "in":
                return self._is_in(node)
            case "==" | "!=" | "<" | "<=" | ">" | ">=":
                return self._compare(node)
            case _:
                return self._arithmetic(node)

    def _logic(self, node: cel.Not | cel.Every | cel.Either) -> _Typed:
        operands = (node.operand,) if isinstance(node, cel.Not) else node.operands
        conditions = [self._condition(operand) for operand in operands]
        match node:
            case cel.Not():
                return self._apply(
                    node, Type.BOOL, lambda of: operators.negation(of[0]), conditions
                )
            case cel.Every():
                return self._apply(node, Type.BOOL, operators.every, conditions)
            case _:
                return self._apply(node, Type.BOOL, operators.either, conditions)

    def _negative(self, node: cel.Node, operand: _Typed) -> _Typed:
        self._check_number(operand, "negates")
        return self._apply(node, operand.type, lambda of: operators.negative(of[0]), [operand])

    def _condition(self, node: cel.Node) -> _Typed:
        typed = self.typed(node)
        if typed.type is not Type.BOOL:
            raise self._scope.error(
                node, f"has {typed.what} where a condition is needed, such as `... > 0`"
            )
        return typed

    def _choice(self, node: cel.Choice) -> _Typed:
        condition, yes, no = (
            self._condition(node.condition),
            self.typed(node.yes),
            self.typed(node.no),
        )
        kind = yes.type
        if yes.type is not no.type:
            if not (yes.type.is_number and no.type.is_number):
                raise self._scope.error(
                    node.yes,
                    f"chooses between {yes.what} and {no.what}; both have to be numbers, strings or"
                    " bools",
                )
            kind = Type.DOUBLE
        parts = [condition, yes, no]
        return self._apply(node, kind, lambda of: operators.choice(of[0], of[1], of[2]), parts)

    def _compare(self, node: cel.Operation) -> _Typed:
        sign, left, right = node.operator, self.typed(node.left), self.typed(node.right)
        self._check_comparable(sign, left, right)
        return self._apply(
            node, Type.BOOL, lambda of: operators.compare(sign, of[0], of[1]), [left, right]
        )

    def _check_comparable(self, sign: str, left: _Typed, right: _Typed) -> None:
        kinds = {left.type, right.type}
        is_flag = kinds == {Type.BOOL, Type.INT} and any(
            side.literal is not None and side.literal.values in (0, 1) and side.type is Type.INT
            for side in (left, right)
        )
        fits = left.type is right.type or (left.type.is_number and right.type.is_number) or is_flag
        if not fits:
            raise self._scope.error(
                left.node,
                f"compares {left.what} with {right.what} by {sign}; both have to be numbers,"
                f" strings or bools{_names_hint(left, right)}",
            )
        if Type.BOOL in kinds and sign not in ("==", "!="):
            raise self._scope.error(
                left.node, f"compares {left.what} by {sign}; bools are == or != only"
            )
        for one, other in ((left, right), (right, left)):
            self._check_choice(one, other)

    def _check_choice(self, one: _Typed, other: _Typed) -> None:
        source = one.source
        if source is None or source.choices is None or other.literal is None:
            return
        text, choices = other.literal.values, source.choices
        if text in choices or (_DIGITS.fullmatch(text) and text not in source.named_digits):
            return
        raise self._scope.error(
            other.node,
            f"compares {one.what} with {cel.shortened(text)}, which is none"
            f" of its names, {listed(sorted(choices))}",
        )

    def _is_in(self, node: cel.Operation) -> _Typed:
        subject = self.typed(node.left)
        if not isinstance(node.right, cel.ListOf) or not node.right.items:
            raise self._scope.error(node.right, "needs a list behind `in`, such as `$1 in [1, 2]`")
        items = []
        for item in node.right.items:
            typed = self.typed(item)
            if typed.literal is None:
                raise self._scope.error(item, "has a list in which not everything is a literal")
            self._check_comparable("==", subject, typed)
            items.append(typed.literal)
        return self._apply(node, Type.BOOL, lambda of: operators.is_in(of[0], items), [subject])

    def _arithmetic(self, node: cel.Operation) -> _Typed:
        # `a + b + c` is ((a + b) + c) in the tree: compiled as one, without recursion.
        steps = []
        left: cel.Node = node
        while isinstance(left, cel.Operation) and left.operator in _ARITHMETIC:
            steps.append(left)
            left = left.left
        steps.reverse()
        parts = [self.typed(left), *(self.typed(step.right) for step in steps)]
        for part, step in zip(parts, [steps[0], *steps], strict=True):
            self._check_number(part, f"calculates `{step.operator}` with")
        while len(parts) > 1 and parts[0].literal is not None and parts[1].literal is not None:
            parts[:2] = [self._chain(steps[:1], parts[:2])]
            del steps[0]
        return self._chain(steps, parts) if steps else parts[0]

    def _chain(self, steps: Sequence[cel.Operation], parts: Sequence[_Typed]) -> _Typed:
        signs = [step.operator for step in steps]
        is_double = "/" in signs or any(part.type is Type.DOUBLE for part in parts)

        def call(of: Sequence[Column]) -> Column:
            found = of[0]
            for sign, operand in zip(signs, of[1:], strict=True):
                found = operators.arithmetic(sign, found, operand)
            return found

        return self._apply(steps[-1], Type.DOUBLE if is_double else Type.INT, call, parts)

    def _check_number(self, typed: _Typed, does: str) -> None:
        if typed.type.is_number:
            return
        instead = (
            "`... ? 1 : 0` makes one of it"
            if typed.type is Type.BOOL
            else "size() and comparisons make something else of it"
        )
        raise self._scope.error(typed.node, f"{does} {typed.what}, which is no number; {instead}")

    def _call(self, node: cel.Call) -> _Typed:
        if _is_window(node):
            raise self._scope.error(
                node,
                "has a window where none belongs; it stands last in a function of one, such as"
                ' avg($1, rolling("10s"))',
            )
        candidates = FUNCTIONS.get(node.function)
        if candidates is None:
            raise self._scope.error(
                node, f"calls {node.function}(), which there is not; {_alike(node.function)}"
            )
        has_window = any(_is_window(argument) for argument in node.arguments)
        over_time = [each for each in candidates if isinstance(each, OverTime)]
        pointwise = [each for each in candidates if isinstance(each, Pointwise)]
        fitting = [each for each in over_time if each.has_window == has_window]
        if fitting:
            return self._call_over_time(node, fitting[0])
        if not pointwise:
            needed = over_time[0]
            raise self._scope.error(
                node, f"calls {node.function}(), which is written {needed.form}"
            )
        function = pointwise[0]
        parts = [self.typed(argument) for argument in node.arguments]
        try:
            kind = function.type_of([part.type for part in parts])
            function.check(
                [None if part.literal is None else part.literal.values for part in parts]
            )
        except FunctionError as error:
            raise self._misused(node, error, parts) from None
        return self._apply(node, kind, function.call, parts)

    def _misused(
        self, node: cel.Call, error: FunctionError, parts: Sequence[_Typed]
    ) -> ExpressionError:
        channels = [part.what for part in parts if part.source is not None]
        given = f"; given are {', '.join(channels)}" if channels else ""
        return self._scope.error(node, f"calls {node.function}(), which {error}{given}")

    def _call_over_time(self, node: cel.Call, function: OverTime) -> _Typed:
        least, most = function.parameters
        if not 1 + least <= len(node.arguments) <= 1 + most:
            raise self._scope.error(
                node, f"calls {node.function}(), which is written {function.form}"
            )
        part = _RegionCompiler(self._scope)
        typed = part.typed(node.arguments[0])
        argument = part.region(typed)
        if not argument.leaves:
            raise self._scope.error(
                node.arguments[0],
                f"calls {node.function}() of what never changes; it takes channels",
            )
        parameters = [self._parameter(each) for each in node.arguments[1:]]
        try:
            step: Step = function.make(argument.type, parameters)
        except FunctionError as error:
            raise self._misused(node, error, [typed]) from None
        return self._leaf(node, (self._scope.keys, node), StepLeaf(step, argument))

    def _parameter(self, node: cel.Node) -> Any:  # noqa: ANN401 - any literal
        if not _is_window(node):
            typed = self.typed(node)
            if typed.literal is None:
                raise self._scope.error(node, 'needs a literal here, such as 5 or "500ms"')
            return typed.literal.values
        assert isinstance(node, cel.Call)  # noqa: S101 - `_is_window`
        literals = [each.value for each in node.arguments if isinstance(each, cel.Literal)]
        if len(literals) != 1 or len(node.arguments) != 1:
            raise self._scope.error(node, 'has a window that is not like rolling("10s")')
        try:
            return duration_ns(literals[0])
        except DurationError as error:
            raise self._scope.error(node, f"has a window where {error}") from None

    def _apply(
        self,
        node: cel.Node,
        kind: Type,
        call: Callable[[Sequence[Column]], Column],
        parts: Sequence[_Typed],
    ) -> _Typed:
        """A call of a function that takes columns, at least one of which is no literal."""
        if all(part.literal is not None for part in parts):
            literals = [part.literal for part in parts if part.literal is not None]
            made = call([literals[0].written_out(1), *literals[1:]])
            if made.known is not None and not made.known.all():
                raise self._scope.error(
                    node, "computes an integer that is none of 64 bits; write doubles, such as 1.0"
                )
            return _Typed(node, kind, _as_literal(made))
        computes = [_computed(part) for part in parts]
        return _Typed(
            node, kind, None, lambda columns: call([compute(columns) for compute in computes])
        )


def _computed(typed: _Typed) -> Callable[[Sequence[Column]], Column]:
    if typed.compute is not None:
        return typed.compute
    literal = typed.literal
    assert literal is not None  # noqa: S101 - one of the two is there
    return lambda _: literal


def _as_literal(column: Column) -> Column:
    if column.type is Type.STRING:
        return Column(Type.STRING, column.values.plain()[0].as_py())
    return Column(column.type, column.values[0].item())


def _is_window(node: cel.Node) -> bool:
    return isinstance(node, cel.Call) and node.function == "rolling"


def _alike(name: str) -> str:
    import difflib  # noqa: PLC0415 - for an error only

    functions = {one.lower(): one for one in FUNCTIONS}
    close = difflib.get_close_matches(name.lower(), functions, 1, cutoff=_CLOSE)
    if close:
        return f"did you mean {functions[close[0]]}()?"
    return f"the functions are {', '.join(FUNCTIONS)}"


def _names_hint(*sides: _Typed) -> str:
    for side in sides:
        if side.source is not None and side.source.choices is not None:
            return f", and an enum is its names: {listed(sorted(side.source.choices))}"
    return ""
