"""What an import is to do, whatever kind its config is of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sift_files import OnError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sift_files import FilePlan
    from sift_server.catalog import ChannelConfig, MetadataValue


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What an import is to do.

    Attributes:
        asset_name: Of the points.
        run_name: Of a new run for them, or empty.
        run_id: Of the run that is there for them, or empty.
        file: How the file is read.
        channels: By the names in `file`.
        on_error: What becomes of cells that do not fit.
        warnings: What is to be known before anything is read.
        rows_expected: How many rows the client says there are, or None.
        run_metadata: What the run is to have beside what it has.
    """

    asset_name: str
    run_name: str
    run_id: str
    file: FilePlan
    channels: Mapping[str, ChannelConfig]
    on_error: OnError = OnError.STOP
    warnings: tuple[str, ...] = ()
    rows_expected: int | None = None
    run_metadata: tuple[tuple[str, MetadataValue], ...] = ()

    @property
    def points_total(self) -> int:
        """How many points there are at the most; 0 if that is not known."""
        total = 0
        for table in self.file.tables:
            rows = table.rows if table.rows is not None else self.rows_expected
            if rows is None:
                return 0
            total += rows * len(table.wanted)
        return total
