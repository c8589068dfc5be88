"""Calculated channels as what stands for a name in an expression about an asset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift_server.catalog import CalculatedReference, InlineExpression
from sift_server.errors import InvalidArgumentError, NotFoundError
from sift_server.expressions import Nested, names_in, parsed
from sift_server.rules.sources import source_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sift_server.catalog import CalculatedChannel, Catalog, Channel
    from sift_server.expressions import Named, Source
    from sift_server.rules.checks import AssetSources


class Nesting:
    """Versions of calculated channels, and channels by id. Reads each once; for one thread."""

    def __init__(self, catalog: Catalog) -> None:
        """Take the catalog."""
        self._catalog = catalog
        self._versions: dict[str, CalculatedChannel] = {}
        self._channels: dict[str, Channel] = {}

    def keep(self, channels: Iterable[CalculatedChannel]) -> None:
        """Take versions that were read already."""
        self._versions.update((one.version_id, one) for one in channels)

    def load(self, version_ids: Iterable[str]) -> None:
        """Read many versions at once, as far as they are there."""
        missing = set(version_ids) - self._versions.keys()
        if missing:
            self.keep(self._catalog.calculated_channels.known_versions(missing))

    def version(self, version_id: str) -> CalculatedChannel:
        """Return a version of a calculated channel.

        Raises:
            InvalidArgumentError: There is none of that id.
        """
        if version_id not in self._versions:
            try:
                (found,) = self._catalog.calculated_channels.versions([version_id])
            except NotFoundError as error:
                raise InvalidArgumentError(str(error)) from None
            self._versions[version_id] = found
        return self._versions[version_id]

    def channel(self, channel_id: str) -> Channel:
        """Return a channel.

        Raises:
            InvalidArgumentError: There is none of that id.
        """
        if channel_id not in self._channels:
            try:
                self._channels[channel_id] = self._catalog.channels.get(channel_id)
            except NotFoundError as error:
                raise InvalidArgumentError(str(error)) from None
        return self._channels[channel_id]


class Names:
    """What the names of an expression stand for, for an asset; see `Nested.find`.

    A name is that of a channel of the asset, or else of the calculated channel that it is pinned
    to.
    """

    def __init__(
        self,
        nesting: Nesting | None,
        sources: AssetSources | None,
        references: Iterable[CalculatedReference],
        pins: Mapping[str, str],
    ) -> None:
        """Take what there is, and what references and names stand for.

        `nesting` may be None if they name channels only, and `sources` for no asset.
        """
        self._nesting = nesting
        self._sources = sources
        self._references = {one.reference: one for one in references}
        self._pins = pins

    @property
    def references(self) -> Mapping[str, CalculatedReference]:
        """What `$1` and the like stand for."""
        return self._references

    def __call__(self, name: str) -> Named | None:
        """Find what a reference or a name stands for, or return None."""
        reference = self._references.get(name)
        if reference is None:
            return self._by_name(name)
        if reference.version_id:
            return self._version(reference.version_id)
        if reference.inline is not None:
            return inline_named(self._there(), name, reference.inline)
        return self._by_name(reference.identifier)

    def called(self, name: str) -> str:
        """What a name stands for, by its own name."""
        reference = self._references.get(name)
        return name if reference is None else reference.identifier or name

    def _by_name(self, name: str) -> Named | None:
        found = None if self._sources is None else self._sources.find(name)
        if found is None and name in self._pins:
            return self._version(self._pins[name])
        return found

    def _version(self, version_id: str) -> Nested:
        nesting = self._there()
        channel = nesting.version(version_id)
        content = channel.content
        names = Names(nesting, self._sources, content.references, dict(content.pins))
        return Nested(
            content.name,
            version_id,
            content.expression,
            names,
            names.references,
            channel.calculated_channel_id,
        )

    def _there(self) -> Nesting:
        assert self._nesting is not None  # noqa: S101 - see `__init__`
        return self._nesting


class InlineNames:
    """What the names of an expression stand for whose references are ids of channels."""

    def __init__(self, nesting: Nesting, inline: InlineExpression) -> None:
        """Take what there is, and the expression."""
        self._nesting = nesting
        self._references = dict(inline.references)

    @property
    def references(self) -> Mapping[str, str | InlineExpression]:
        """What `$1` and the like stand for."""
        return self._references

    def __call__(self, name: str) -> Named | None:
        """Find what a reference stands for, or return None."""
        found = self._references.get(name)
        if found is None:
            return None
        if isinstance(found, InlineExpression):
            return inline_named(self._nesting, name, found)
        return self._source(name, found)

    def called(self, name: str) -> str:
        """What a name stands for has no name of its own."""
        return name

    def _source(self, name: str, channel_id: str) -> Source:
        try:
            return source_of(self._nesting.channel(channel_id))
        except InvalidArgumentError as error:
            raise InvalidArgumentError(f"{name} stands for no channel: {error}") from None


def inline_named(nesting: Nesting, name: str, inline: InlineExpression) -> Nested:
    """An expression with ids of channels, as what a name stands for."""
    names = InlineNames(nesting, inline)
    return Nested(name, inline, inline.expression, names, names.references)


def named_parts(text: str, find: Names | InlineNames) -> Iterator[tuple[str, Named | None]]:
    """What an expression names: each name as it is looked up, and what it stands for.

    An element of a bit field is there as the bit field.

    Raises:
        InvalidArgumentError: The text is no expression.
    """
    seen = set()
    for name, owner in names_in(parsed(text)):
        if name in seen:
            continue
        seen.add(name)
        found = find(name)
        if found is None and owner is not None:
            whole = find(owner)
            if whole is not None:
                if owner not in seen:
                    seen.add(owner)
                    yield owner, whole
                continue
        yield name, found


def missing_names(text: str, find: Names | InlineNames) -> list[str]:
    """The channels that an expression needs, with all that is nested in it, and that are not there.

    Raises:
        InvalidArgumentError: A text is no expression.
    """
    missing: dict[str, None] = {}
    seen: set[object] = set()
    waiting: list[tuple[str, Names | InlineNames]] = [(text, find)]
    while waiting:
        inner, names = waiting.pop()
        for name, found in named_parts(inner, names):
            if found is None:
                missing[names.called(name)] = None
            elif isinstance(found, Nested) and found.key not in seen:
                seen.add(found.key)
                assert isinstance(found.find, Names | InlineNames)  # noqa: S101 - made here
                waiting.append((found.text, found.find))
    return list(missing)
