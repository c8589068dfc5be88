"""The telemetry config of a plan: a flow for each table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sift_py.errors import IngestionValidationError
from sift_py.ingestion.channel import ChannelConfig, ChannelDataType, ChannelEnumType
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import FlowConfig

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sift_files import ColumnPlan, FilePlan, TablePlan

__all__ = ["common_flow_names", "telemetry_config", "text_flow"]


def telemetry_config(asset_name: str, plan: FilePlan) -> TelemetryConfig:
    """The telemetry config of what a plan imports; its client key comes from what it declares."""
    flows = [
        FlowConfig(table.name, [_channel(column) for column in table.wanted])
        for table in plan.tables
        if table.wanted
    ]
    return TelemetryConfig(asset_name=asset_name, flows=flows)


def text_flow(channel: str) -> FlowConfig:
    """The flow of texts that did not fit a channel."""
    name = f"{channel}.text"
    config = ChannelConfig(
        name, ChannelDataType.STRING, description=f"What was no value of {channel}"
    )
    return FlowConfig(name, [config])


def common_flow_names(plans: Iterable[FilePlan]) -> list[FilePlan]:
    """The plans, with the flow of the first for all tables that have the same channels.

    So that a hundred files of one logger are one flow, and not a hundred.
    """
    names: dict[object, str] = {}
    made = []
    for plan in plans:
        tables = []
        taken: set[str] = set()
        for table in plan.tables:
            name = names.setdefault(_shape(table), table.name)
            # Two tables of a file are two flows.
            name = table.name if name in taken else name
            taken.add(name)
            tables.append(replace(table, name=name))
        made.append(plan.with_tables(tuple(tables)))
    return made


def _shape(table: TablePlan) -> object:
    return tuple(
        (one.channel, one.data_type, one.unit, one.description, tuple(one.enum.items()))
        for one in table.wanted
    )


def _channel(column: ColumnPlan) -> ChannelConfig:
    data_type = ChannelDataType.from_str(column.data_type.value)
    if data_type is None or data_type is ChannelDataType.BIT_FIELD:
        raise IngestionValidationError(
            f"column {column.name!r} can't be imported as {column.data_type.value}"
        )
    return ChannelConfig(
        column.channel,
        data_type,
        description=column.description or None,
        unit=column.unit or None,
        enum_types=[ChannelEnumType(name, key) for name, key in column.enum.items()],
    )
