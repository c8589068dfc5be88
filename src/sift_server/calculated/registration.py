"""Takes calculated channels into the catalog, once their expressions are checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sift_server.calculated.resolution import Resolution
from sift_server.errors import FailedPreconditionError, InvalidArgumentError
from sift_server.expressions import compile_expression, parsed
from sift_server.expressions.scope import NESTING_MAX
from sift_server.rules.nesting import InlineNames
from sift_server.rules.pinning import Pinning

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sift_server.catalog import CalculatedChannel, CalculatedContent, Catalog

_TRIES_MAX = 5
"""How often an update is made anew because somebody else made one at the same time."""


@dataclass(frozen=True, slots=True)
class Inapplicable:
    """An asset that a calculated channel is for, and does not fit.

    Attributes:
        tags: The names of its tags.
        missing: The names of the channels that it lacks; empty if it is their types that do not
            fit.
    """

    asset_id: str
    asset_name: str
    tags: tuple[str, ...]
    missing: tuple[str, ...]


class CalculatedRegistration:
    """Where calculated channels come into the catalog. Safe from many threads."""

    def __init__(self, catalog: Catalog) -> None:
        """Take the catalog."""
        self._catalog = catalog

    def create(
        self,
        content: CalculatedContent,
        *,
        notes: str = "",
        client_key: str | None = None,
        organization_id: str = "",
    ) -> tuple[CalculatedChannel, list[Inapplicable]]:
        """Create a calculated channel; returns it, and the assets that it does not fit.

        Raises:
            InvalidArgumentError: The expression is none, or fits no asset though channels are
                there; or it can't be stored.
            AlreadyExistsError: Another one has the client key or the name.
            NotFoundError: An asset or tag does not exist.
            ResourceExhaustedError: There are too many.
        """
        content, inapplicable = self._checked(content, None, pins_anew=True)
        made = self._catalog.calculated_channels.create(
            content, notes=notes, client_key=client_key, organization_id=organization_id
        )
        return made, inapplicable

    def update(
        self,
        calculated_channel_id: str,
        client_key: str,
        change: Callable[[CalculatedContent], CalculatedContent],
        *,
        notes: str | None = None,
        is_archived: bool | None = None,
        pins_anew: bool = False,
    ) -> tuple[CalculatedChannel, list[Inapplicable]]:
        """Change a calculated channel; returns it, and the assets that it does not fit.

        Args:
            calculated_channel_id: Which one.
            client_key: Or its client key, if the id is empty.
            change: Makes the new content of the one before.
            notes: What to keep with the version; None for nothing new.
            is_archived: Whether it is to be archived; None to leave that.
            pins_anew: Whether the expression or the assets are declared anew, so that names stand
                for the calculated channels that are current now, and it has to fit an asset.

        Raises:
            FailedPreconditionError: Others change it all the time.
            And as for `create`.
        """
        for _ in range(_TRIES_MAX):
            before = self._catalog.calculated_channels.get(calculated_channel_id, client_key)
            content = change(before.content)
            inapplicable: list[Inapplicable] = []
            if content != before.content or pins_anew:
                content, inapplicable = self._checked(
                    content, before.calculated_channel_id, pins_anew=pins_anew
                )
            made = self._catalog.calculated_channels.update(
                before, content, notes=notes, is_archived=is_archived
            )
            if made is not None:
                return made, inapplicable
        raise FailedPreconditionError(
            f"the calculated channel {before.content.name!r} is changed by others at the same time;"
            " try again"
        )

    def _checked(
        self, content: CalculatedContent, calculated_channel_id: str | None, *, pins_anew: bool
    ) -> tuple[CalculatedContent, list[Inapplicable]]:
        """A content with its pins, and the assets that it does not fit."""
        parsed(content.expression)
        resolution = Resolution(self._catalog)
        asset_ids = self._catalog.calculated_channels.assets_of(content)
        assets = {asset_id: resolution.sources(asset_id) for asset_id in asset_ids}
        if pins_anew:
            pinning = Pinning(self._catalog, resolution.nesting)
            pins = pinning.pins(content.expression, content.references, assets)
            content = replace(content, pins=pins)
        self._check_inside(content, calculated_channel_id, resolution)
        inapplicable, wrong = [], []
        for asset_id in asset_ids:
            try:
                resolution.of_asset(content, asset_id, calculated_channel_id)
            except InvalidArgumentError as error:
                missing = resolution.missing(content, asset_id)
                asset = self._catalog.assets.get(asset_id)
                inapplicable.append(
                    Inapplicable(asset_id, asset.name, asset.attributes.tags, tuple(missing))
                )
                if not missing:
                    wrong.append(f"does not fit the asset {asset.name!r}: {error}")
        # What is there already may be renamed, whatever became of the channels meanwhile.
        if pins_anew and wrong and len(inapplicable) == len(asset_ids):
            raise InvalidArgumentError(f"the calculated channel {content.name!r} {wrong[0]}")
        return content, inapplicable

    def _check_inside(
        self,
        content: CalculatedContent,
        calculated_channel_id: str | None,
        resolution: Resolution,
    ) -> None:
        """Check what is nested in a calculated channel, whether or not an asset has it."""
        for one in content.references:
            if one.inline is not None:
                names = InlineNames(resolution.nesting, one.inline)
                found = {name: names(name) for name in names.references}
                known = {name: source for name, source in found.items() if source is not None}
                compile_expression(one.inline.expression, known)
        level: Sequence[str] = content.version_ids
        for _ in range(NESTING_MAX):
            inside: dict[str, None] = {}
            for version_id in level:
                other = resolution.nesting.version(version_id)
                if other.calculated_channel_id == calculated_channel_id:
                    raise InvalidArgumentError(
                        f"the calculated channel {content.name!r} would be a part of itself, so"
                        " that it had no end; write what it was before in its place"
                    )
                inside.update(dict.fromkeys(other.content.version_ids))
            level = list(inside)
        if level:
            raise InvalidArgumentError(
                f"the calculated channel {content.name!r} has more than {NESTING_MAX} others inside"
                " of each other (NESTING_MAX); write the expression of one of them out"
            )
