"""What the points of the table say of their channels: id, name, asset, and the kind of values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sift_server.lake.points import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class LakeChannel:
    """A channel, as far as its points tell.

    Attributes:
        channel_id: Its id.
        name: Its name, fully qualified.
        asset: Name of its asset.
        kind: Kind of its values; None if it has none.
    """

    channel_id: str
    name: str
    asset: str
    kind: Kind | None


def lake_channels(paths: Iterable[Path]) -> dict[str, LakeChannel]:
    """All channels that files have points of, by id; files that can't be read are left out."""
    found: dict[str, LakeChannel] = {}
    for path in paths:
        try:
            _add_channels(path, found)
        except (pa.ArrowException, OSError, ValueError, KeyError):
            continue
    return found


def _add_channels(path: Path, found: dict[str, LakeChannel]) -> None:
    with pq.ParquetFile(path, read_dictionary=["channel_id"]) as file:
        kinds = [kind for kind in Kind if kind.column in file.schema_arrow.names]
        for number in range(file.num_row_groups):
            ids = file.read_row_group(number, columns=["channel_id"])["channel_id"]
            ids = ids.combine_chunks()
            names = ids.dictionary.to_pylist()
            if not set(names) - found.keys():
                continue
            table = file.read_row_group(number)
            for channel_id, row in zip(names, _first_rows(ids), strict=True):
                if channel_id not in found and row >= 0:
                    # A row has one value.
                    has = [kind for kind in kinds if table[kind.column][row].is_valid]
                    found[channel_id] = LakeChannel(
                        channel_id,
                        table["channel"][row].as_py(),
                        table["asset"][row].as_py(),
                        has[0] if has else None,
                    )


def _first_rows(ids: Any) -> list[int]:  # noqa: ANN401 (pyarrow has no types)
    """Where each entry of the dictionary is first; -1 where it is not."""
    codes = ids.indices.to_numpy()
    first = np.full(len(ids.dictionary), -1)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    rows: list[int] = first.tolist()
    return rows
