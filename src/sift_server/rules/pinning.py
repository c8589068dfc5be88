"""Which calculated channels the names of an expression stand for from now on.

A name that is no channel of an asset is the calculated channel of that name, in the version that it
has when somebody declares the expression: so what was declared always means the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift_server.expressions import names_in, parsed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sift_server.catalog import CalculatedChannel, CalculatedReference, Catalog
    from sift_server.rules.checks import AssetSources
    from sift_server.rules.nesting import Nesting


class Pinning:
    """Finds versions of calculated channels for names. Reads each once; for one thread."""

    def __init__(self, catalog: Catalog, nesting: Nesting) -> None:
        """Take the catalog."""
        self._catalog = catalog
        self._nesting = nesting
        self._current: dict[str, CalculatedChannel | None] = {}
        self._assets: dict[str, frozenset[str] | None] = {}

    def load(self, names: Iterable[str]) -> None:
        """Look up many names at once."""
        wanted = set(names) - self._current.keys()
        if wanted:
            found = self._catalog.calculated_channels.named(wanted)
            self._current.update({name: found.get(name) for name in wanted})
            self._nesting.keep(found.values())

    def pins(
        self,
        text: str,
        references: Iterable[CalculatedReference],
        assets: Mapping[str, AssetSources],
        asked_version_ids: Sequence[str] = (),
    ) -> tuple[tuple[str, str], ...]:
        """Return which version of which calculated channel each name stands for, by name.

        A name is pinned if an asset has no channel of it, and all those assets have the calculated
        channel.

        Args:
            text: The expression.
            references: What its references stand for.
            assets: The assets that it is about, by id.
            asked_version_ids: The versions that their names are to stand for.

        Raises:
            InvalidArgumentError: The text is no expression, or there is no version of an id.
        """
        asked = {self._nesting.version(one).content.name: one for one in asked_version_ids}
        names = sorted(named(text, references))
        self.load(names)
        pins = []
        for name in names:
            lacking = [one for one, sources in assets.items() if sources.find(name) is None]
            if assets and not lacking:
                continue
            current = self._current[name]
            if name in asked:
                pins.append((name, asked[name]))
            elif current is not None and self._is_of_all(current, lacking):
                pins.append((name, current.version_id))
        return tuple(pins)

    def _is_of_all(self, channel: CalculatedChannel, asset_ids: Iterable[str]) -> bool:
        if channel.version_id not in self._assets:
            content = channel.content
            assets = None
            if not content.has_all_assets:
                assets = frozenset(self._catalog.calculated_channels.assets_of(content))
            self._assets[channel.version_id] = assets
        of = self._assets[channel.version_id]
        return of is None or of.issuperset(asset_ids)


def named(text: str, references: Iterable[CalculatedReference]) -> set[str]:
    """The names of channels that an expression needs, with what each may be an element of.

    Raises:
        InvalidArgumentError: The text is no expression.
    """
    known = {one.reference: one for one in references}
    names = {one.identifier for one in known.values() if one.identifier}
    for name, owner in names_in(parsed(text)):
        if name not in known and owner not in known:
            names.add(name)
    return names
