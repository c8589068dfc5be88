"""Rows on their way into the lake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

from sift_wire.block import RowBlock

if TYPE_CHECKING:
    from sift_wire.columns import FlowLayout


class PointFlow(Protocol):
    """What the lake has to know of a flow; blocks that have rows of it share one object."""

    @property
    def asset_id(self) -> str:
        """Id of the asset."""

    @property
    def asset_name(self) -> str:
        """Name of the asset."""

    @property
    def channel_ids(self) -> tuple[str, ...]:
        """Id of each channel of `layout`."""

    @property
    def layout(self) -> FlowLayout:
        """The channels."""


PointBlock: TypeAlias = RowBlock[PointFlow]
"""Rows of any flows that came in one go."""
