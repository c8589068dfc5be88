"""What a calculated channel is for an asset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sift_server.errors import InvalidArgumentError
from sift_server.expressions import compile_expression
from sift_server.rules.checks import AssetSources
from sift_server.rules.nesting import InlineNames, Names, Nesting, missing_names

if TYPE_CHECKING:
    from sift_server.catalog import CalculatedContent, Catalog, InlineExpression
    from sift_server.expressions import Expression, Named


@dataclass(frozen=True, slots=True)
class Resolved:
    """An expression of a calculated channel, compiled against the channels of an asset.

    Attributes:
        asset_id: The asset.
        expression: What evaluates it.
        names: What its names stand for.
    """

    asset_id: str
    expression: Expression
    names: Names


class Resolution:
    """Resolves calculated channels for assets. Reads the catalog once; for one thread.

    Example:
        ```python
        resolved = Resolution(catalog).of_asset(channel.content, asset_id)
        resolved.expression.advance(None, inputs)
        ```
    """

    def __init__(self, catalog: Catalog) -> None:
        """Take the catalog."""
        self._catalog = catalog
        self.nesting = Nesting(catalog)
        self._sources: dict[str, AssetSources] = {}

    def sources(self, asset_id: str) -> AssetSources:
        """The channels of an asset."""
        if asset_id not in self._sources:
            self._sources[asset_id] = AssetSources(
                lambda names: self._catalog.channels.named(asset_id, names)
            )
        return self._sources[asset_id]

    def names(self, content: CalculatedContent, asset_id: str | None) -> Names:
        """What the names of a calculated channel stand for, on an asset or on none."""
        sources = None if asset_id is None else self.sources(asset_id)
        return Names(self.nesting, sources, content.references, dict(content.pins))

    def of_asset(
        self, content: CalculatedContent, asset_id: str, calculated_channel_id: str | None = None
    ) -> Resolved:
        """Compile a calculated channel for an asset.

        Args:
            content: What it says.
            asset_id: The asset.
            calculated_channel_id: Its id; None if it has none yet.

        Raises:
            InvalidArgumentError: It does not fit the channels of the asset; says what is wrong.
        """
        names = self.names(content, asset_id)
        found: dict[str, Named] = {}
        for reference in names.references:
            source = names(reference)
            if source is None:
                raise InvalidArgumentError(
                    f"{reference} stands for {names.called(reference)!r}, which is neither a"
                    " channel of the asset nor a calculated channel that it names"
                )
            found[reference] = source
        expression = compile_expression(content.expression, found, names, calculated_channel_id)
        return Resolved(asset_id, expression, names)

    def missing(self, content: CalculatedContent, asset_id: str) -> list[str]:
        """The names of the channels that a calculated channel needs and that an asset lacks.

        Raises:
            InvalidArgumentError: A text is no expression.
        """
        names = self.names(content, asset_id)
        unused = [names.called(one) for one in names.references if names(one) is None]
        return list(dict.fromkeys([*unused, *missing_names(content.expression, names)]))

    def inline(self, inline: InlineExpression) -> Expression:
        """Compile an expression whose references are ids of channels.

        Raises:
            InvalidArgumentError: It names what is not there, or its types do not fit.
        """
        names = InlineNames(self.nesting, inline)
        found = {}
        for reference in names.references:
            source = names(reference)
            assert source is not None  # noqa: S101 - `InlineNames` has all of its references
            found[reference] = source
        return compile_expression(inline.expression, found)
