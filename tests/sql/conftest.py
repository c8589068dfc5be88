"""A catalog and a store with points, and what answers statements about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from sift_server.catalog import Catalog, ChannelConfig, EnumType, FlowConfig
from sift_server.lake import PointStore
from sift_server.sql.engine import SqlEngine
from sift_wire.columns import DataType
from support.points import make_block

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sift_server.sql.limits import SqlLimits

START_NS = 1_760_000_000_000_000_000
"""2025-10-09T08:53:20Z."""


@dataclass
class Bench:
    """What the statements are about; `publish` puts points there, hot until `flush`."""

    catalog: Catalog
    store: PointStore
    engine: SqlEngine
    flows: dict[tuple[str, str], Any] = field(default_factory=dict)
    position: int = 0

    def flow(self, asset: str, name: str, channels: Sequence[ChannelConfig]) -> None:
        config = self.catalog.ingestion_configs.create(
            asset, f"{asset} {name} {len(self.flows)}", [FlowConfig(name, tuple(channels))]
        )
        self.flows[asset, name] = self.catalog.ingestion_configs.flow(
            config.ingestion_config_id, name
        )

    def publish(
        self,
        rows: list[tuple[int, list[Any]]],
        flow: tuple[str, str] = ("rig", "one"),
        run: str = "",
    ) -> None:
        """Publish `(nanoseconds behind START_NS, values)`."""
        self.position += 1
        of = self.flows[flow]
        block = make_block(
            of.layout, of.channel_ids, [(START_NS + ns, values) for ns, values in rows], run
        )
        block.flows[0] = of
        self.store.publish(self.position, [block])

    def table(self, statement: str) -> Any:
        schema, batches = self.engine.query(statement)
        with batches:
            return pa.Table.from_batches(list(batches), schema)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        table = self.table(statement)
        columns = [column.to_pylist() for column in table.columns]
        return list(zip(*columns, strict=True)) if columns else []


def open_bench(path: Path, limits: SqlLimits | None = None) -> Bench:
    catalog = Catalog.open(path / "catalog.sqlite")
    store = PointStore.open(path / "lake")
    return Bench(catalog, store, SqlEngine(catalog, store, limits))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A bench with one flow: speed in m/s, and mode, which is off or on."""
    made = open_bench(tmp_path)
    made.flow(
        "rig",
        "one",
        [
            ChannelConfig("speed", DataType.DOUBLE, unit="m/s"),
            ChannelConfig(
                "mode",
                DataType.ENUM,
                enum_types=(EnumType("off", 0, False), EnumType("on", 1, False)),
            ),
        ],
    )
    yield made
    made.engine.close()
    made.store.close()
    made.catalog.close()
