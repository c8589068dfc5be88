"""Assets with points, and what deletes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from sift_server.catalog import Catalog, ChannelConfig, FlowConfig
from sift_server.lake import PointStore
from sift_server.query import PointReader
from sift_server.retention import Deletion
from sift_wire.columns import DataType
from support.catalogs import StepClock, open_catalog
from support.points import make_block

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOUR_NS = 3_600 * 10**9
NOW_NS = 1_790_000_000 * 10**9 // HOUR_NS * HOUR_NS


@dataclass
class Stand:
    """`publish` puts points there, hot until a flush."""

    catalog: Catalog
    store: PointStore
    deletion: Deletion
    flows: dict[str, Any]
    position: int = 0

    def publish(self, asset: str, times_ns: list[int], run_id: str = "") -> None:
        self.position += 1
        flow = self.flows[asset]
        rows = [(time_ns, [float(number), number]) for number, time_ns in enumerate(times_ns)]
        block = make_block(flow.layout, flow.channel_ids, rows, run_id)
        block.flows[0] = flow
        self.store.publish(self.position, [block])

    def times(self, asset: str, channel: str = "speed", run_id: str | None = None) -> list[int]:
        flow = self.flows[asset]
        place = flow.layout.channel_names.index(channel)
        reader = PointReader(self.store)
        page = reader.read(
            flow.channel_ids[place],
            flow.layout.data_types[place],
            -(2**63),
            2**63 - 1,
            run_id,
            None,
            10_000,
        )
        return sorted(time_ns for run in page.runs for time_ns in run.timestamps_ns.tolist())

    def asset_id(self, asset: str) -> str:
        return str(self.flows[asset].asset_id)


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    clock = StepClock()
    with open_catalog(tmp_path, clock) as catalog:
        store = PointStore.open(tmp_path / "lake")
        flows = {}
        for asset in ("rover", "glider"):
            config = catalog.ingestion_configs.create(
                asset,
                asset,
                [
                    FlowConfig(
                        "motor",
                        (
                            ChannelConfig("speed", DataType.DOUBLE),
                            ChannelConfig("count", DataType.INT_64),
                        ),
                    )
                ],
            )
            flows[asset] = catalog.ingestion_configs.flow(config.ingestion_config_id, "motor")
        yield Stand(catalog, store, Deletion(catalog, store, store.flush), flows)
        store.close()
