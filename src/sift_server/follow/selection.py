"""What somebody follows."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sift_server.lake import PointFlow


@dataclass(frozen=True, slots=True)
class Selection:
    """Some channels, those too that are not there yet.

    Attributes:
        asset_id: Of this asset; None for any.
        names: Fully qualified names, in which `*`, `?` and `[...]` stand for what they do in a
            shell. Used with an asset.
        channel_ids: Ids, used without an asset.
        run_id: The run; an empty string for what has none, None for all.
    """

    asset_id: str | None
    names: tuple[str, ...] = ("*",)
    channel_ids: frozenset[str] = frozenset()
    run_id: str | None = None

    def has_name(self, name: str) -> bool:
        """Whether a channel of the asset is among them."""
        return any(name == each or fnmatchcase(name, each) for each in self.names)

    def places_in(self, flow: PointFlow) -> Sequence[int]:
        """Indices of the channels of a flow that are among them."""
        if self.asset_id is None:
            return [
                index for index, each in enumerate(flow.channel_ids) if each in self.channel_ids
            ]
        if flow.asset_id != self.asset_id:
            return ()
        names = flow.layout.channel_names
        return [index for index, name in enumerate(names) if self.has_name(name)]
