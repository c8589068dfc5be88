"""Checks what rules say against the channels of their assets, before they are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift_server.errors import InvalidArgumentError
from sift_server.expressions import compile_condition
from sift_server.rules.sources import source_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sift_server.catalog import Channel, ChannelName
    from sift_server.catalog.rule_content import ConditionExpression
    from sift_server.expressions import Expression, Source


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


def compiled(
    expression: str, references: Iterable[tuple[str, str]], sources: AssetSources
) -> Expression:
    """Compile the expression of a condition against the channels of an asset.

    Args:
        expression: CEL.
        references: What stands for which channel: `$1` and the like, and a fully qualified name.
        sources: The channels.

    Raises:
        InvalidArgumentError: It does not fit the channels; says where, and which they are.
    """
    found: dict[str, Source] = {}
    for reference, name in references:
        source = sources.find(name)
        if source is None:
            raise InvalidArgumentError(
                f"{reference} stands for the channel {name!r}, which the asset does not have;"
                " create the ingestion config that has it first"
            )
        found[reference] = source
    try:
        return compile_condition(expression, found, sources.find)
    except InvalidArgumentError as error:
        if not found:
            raise
        raise InvalidArgumentError(f"{error} ({_told(found)})") from None


def check(expression: ConditionExpression, sources: AssetSources) -> None:
    """Check that the expression of a condition fits the channels of an asset.

    Raises:
        InvalidArgumentError: It does not; says where, and which they are.
    """
    compiled(expression.expression, named(expression.references), sources)


def named(references: Iterable[tuple[str, ChannelName]]) -> list[tuple[str, str]]:
    """References with the fully qualified names of their channels."""
    return [(reference, channel.fqn) for reference, channel in references]


_TOLD_MAX = 12
"""How many channels a message tells the types of."""


def _told(found: dict[str, Source]) -> str:
    told = [f"{reference} is {source.name}, {_kind(source)}" for reference, source in found.items()]
    more = ["..."] if len(told) > _TOLD_MAX else []
    return "; ".join(told[:_TOLD_MAX] + more)


def _kind(source: Source) -> str:
    if source.choices is not None:
        return "an enum"
    if source.type is not None:
        return source.type.value
    return "a bit field" if source.elements else "bytes"
