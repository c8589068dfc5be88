"""Rows of a flow on their way into the lake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sift_wire.columns import FlowRows


@dataclass(frozen=True, slots=True, eq=False)
class PointBatch:
    """Rows of one flow and run, and whose they are.

    Attributes:
        asset_name: Name of the asset.
        channel_ids: Id of each channel of `rows.layout`. Batches of one flow should share one
            tuple: by it the lake sees that they belong together.
        rows: The rows.
    """

    asset_name: str
    channel_ids: tuple[str, ...]
    rows: FlowRows

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the rows hold."""
        rows = self.rows
        return rows.timestamps_ns.nbytes + rows.words.nbytes + rows.present.nbytes + len(rows.heap)
