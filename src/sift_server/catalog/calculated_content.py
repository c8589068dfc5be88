"""What a version of a calculated channel says: an expression over channels of some assets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sift_server.catalog.attributes import TAGS_MAX, check_metadata
from sift_server.errors import InvalidArgumentError

if TYPE_CHECKING:
    from sift_server.catalog.attributes import MetadataValue

CALCULATED_NAME_CHARS_MAX = 1_000
"""Longest name of a calculated channel."""

CALCULATED_DESCRIPTION_CHARS_MAX = 10_000
"""Longest description of a calculated channel."""

CALCULATED_ASSETS_MAX = 1_000
"""How many assets a calculated channel may name, beside those of its tags."""


@dataclass(frozen=True, slots=True)
class InlineExpression:
    """An expression whose references stand for channels by their ids, or for such expressions."""

    expression: str
    references: tuple[tuple[str, str | InlineExpression], ...] = ()


@dataclass(frozen=True, slots=True)
class CalculatedReference:
    """What a reference of a calculated channel stands for: one of these.

    Attributes:
        reference: `$1` and the like.
        identifier: The name of a channel, of whichever asset, or of a calculated channel.
        version_id: A version of another calculated channel, or empty.
        inline: An expression, or None.
    """

    reference: str
    identifier: str = ""
    version_id: str = ""
    inline: InlineExpression | None = None


@dataclass(frozen=True, slots=True)
class CalculatedContent:
    """What a version of a calculated channel says.

    Attributes:
        units: Of its values; None for none.
        expression: CEL.
        has_all_assets: Whether every asset has it; else those that are named do.
        asset_ids: Assets that have it.
        tag_ids: All assets with one of these tags have it, too.
        pins: What names stand for that are no channel of an asset: versions of calculated
            channels, by name.
    """

    name: str
    expression: str
    description: str = ""
    units: str | None = None
    references: tuple[CalculatedReference, ...] = ()
    has_all_assets: bool = False
    asset_ids: tuple[str, ...] = ()
    tag_ids: tuple[str, ...] = ()
    metadata: tuple[tuple[str, MetadataValue], ...] = ()
    pins: tuple[tuple[str, str], ...] = ()

    @property
    def version_ids(self) -> tuple[str, ...]:
        """The versions of other calculated channels that it names, each once."""
        named = [one.version_id for one in self.references if one.version_id]
        return tuple(dict.fromkeys([*named, *(version_id for _, version_id in self.pins)]))


def check_form(content: CalculatedContent) -> None:
    """Check what can be said of a calculated channel without its channels.

    Raises:
        InvalidArgumentError: It has no name or no assets, a reference stands for two things, or
            something is too large; says what.
    """
    if not content.name.strip():
        raise InvalidArgumentError("a calculated channel needs a name that is not blank")
    if len(content.name) > CALCULATED_NAME_CHARS_MAX:
        raise InvalidArgumentError(
            f"the name of a calculated channel has {len(content.name):,} characters; the limit is"
            f" {CALCULATED_NAME_CHARS_MAX:,}"
        )
    where = f"the calculated channel {content.name!r}"
    if len(content.description) > CALCULATED_DESCRIPTION_CHARS_MAX:
        raise InvalidArgumentError(
            f"{where} has a description of {len(content.description):,} characters; the limit is"
            f" {CALCULATED_DESCRIPTION_CHARS_MAX:,}"
        )
    if not (content.has_all_assets or content.asset_ids or content.tag_ids):
        raise InvalidArgumentError(
            f"{where} is for no asset; name assets, tags of assets, or all_assets"
        )
    if len(content.asset_ids) > CALCULATED_ASSETS_MAX or len(content.tag_ids) > TAGS_MAX:
        raise InvalidArgumentError(
            f"{where} names {len(content.asset_ids):,} assets and {len(content.tag_ids):,} tags;"
            f" the limits are {CALCULATED_ASSETS_MAX:,} and {TAGS_MAX:,}. Tag the assets"
        )
    seen = set()
    for one in content.references:
        if one.reference in seen:
            raise InvalidArgumentError(f"{where} says twice what {one.reference!r} stands for")
        seen.add(one.reference)
        if not (one.reference and (one.identifier or one.version_id or one.inline)):
            raise InvalidArgumentError(
                f"{where} has a reference {one.reference!r} that stands for nothing; name a channel"
            )
    check_metadata(where, content.metadata)
