"""Checks what rules say against the channels of their assets, before they are stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from sift_server.catalog import CalculatedReference
from sift_server.errors import InvalidArgumentError
from sift_server.expressions import Nested, compile_condition
from sift_server.rules.nesting import Names
from sift_server.rules.sources import source_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sift_server.catalog import Channel, RuleCondition
    from sift_server.catalog.rule_content import ConditionExpression
    from sift_server.expressions import Expression, Named, Source
    from sift_server.rules.nesting import Nesting


class AssetSources:
    """What expressions can name of an asset. Asks the catalog for each name once; for one thread.

    A name is that of a channel, or `channel.element` of an element of a bit field. Of several
    channels of one name it stands for the one described last.
    """

    def __init__(self, named: Callable[[Iterable[str]], dict[str, Channel]]) -> None:
        """Take what finds channels of the asset by name, see `Channels.named`."""
        self._named = named
        self._channels: dict[str, Source | None] = {}

    def load(self, names: Iterable[str]) -> None:
        """Ask for many names at once."""
        wanted = {one for name in names for one in (name, name.rpartition(".")[0]) if one}
        wanted -= self._channels.keys()
        found = self._named(wanted) if wanted else {}
        for name in wanted:
            channel = found.get(name)
            self._channels[name] = None if channel is None else source_of(channel)

    def find(self, name: str) -> Source | None:
        """Return what has a name, or None."""
        self.load([name])
        channel = self._channels.get(name)
        if channel is not None:
            return channel
        owner_name, _, element = name.rpartition(".")
        owner = self._channels.get(owner_name)
        return None if owner is None else owner.elements.get(element)


def compiled(written: Written, sources: AssetSources, nesting: Nesting | None) -> Expression:
    """Compile the expression of a condition against the channels of an asset.

    `nesting` may be None if it names channels only.

    Raises:
        InvalidArgumentError: It does not fit the channels; says where, and which they are.
    """
    names = Names(nesting, sources, written.references, written.pins)
    found: dict[str, Named] = {}
    for reference, one in names.references.items():
        source = names(reference)
        if source is None:
            raise InvalidArgumentError(
                f"{reference} stands for the channel {one.identifier!r}, which the asset does not"
                " have; create the ingestion config that has it first"
            )
        found[reference] = source
    try:
        return compile_condition(written.expression, found, names)
    except InvalidArgumentError as error:
        if not found:
            raise
        raise InvalidArgumentError(f"{error} ({_told(found)})") from None


@dataclass(frozen=True, slots=True)
class Written:
    """The expression of a condition, and what it names.

    Attributes:
        expression: CEL.
        references: What stands for which channel: `$1` and the like.
        pins: Which version of a calculated channel a name stands for that is no channel.
    """

    expression: str
    references: tuple[CalculatedReference, ...]
    pins: Mapping[str, str]

    @classmethod
    def of(cls, expression: ConditionExpression) -> Self:
        """As it was declared."""
        references = [CalculatedReference(name, one.fqn) for name, one in expression.references]
        return cls(
            expression.expression,
            (*references, *_versions(expression.versions)),
            dict(expression.pins),
        )

    @classmethod
    def of_rule(cls, rule: RuleCondition) -> Self:
        """As it is stored."""
        references = [CalculatedReference(name, fqn) for name, fqn in rule.references.items()]
        return cls(rule.expression, (*references, *_versions(rule.versions.items())), rule.pins)


def _versions(versions: Iterable[tuple[str, str]]) -> Iterable[CalculatedReference]:
    return (CalculatedReference(name, version_id=version_id) for name, version_id in versions)


_TOLD_MAX = 12
"""How many channels a message tells the types of."""


def _told(found: dict[str, Named]) -> str:
    told = [f"{reference} is {source.name}, {_kind(source)}" for reference, source in found.items()]
    more = ["..."] if len(told) > _TOLD_MAX else []
    return "; ".join(told[:_TOLD_MAX] + more)


def _kind(source: Named) -> str:
    if isinstance(source, Nested):
        return "a calculated channel"
    if source.choices is not None:
        return "an enum"
    if source.type is not None:
        return source.type.value
    return "a bit field" if source.elements else "bytes"
