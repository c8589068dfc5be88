"""Flows that the user declares against flows that the server has under the same client key.

A flow on the server never changes: rows that are stored, or on their way, rely on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift_py.errors import IngestionValidationError
from sift_py.ingestion._internal.layout import layout_of
from sift_py.ingestion.channel import ChannelDataType, channel_fqn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sift.common.type.v1.channel_data_type_pb2 import ChannelDataType as ChannelDataTypePb
    from sift.ingestion_configs.v1.ingestion_configs_pb2 import FlowConfig as FlowConfigPb
    from sift_py.ingestion._internal.layout import FlowLayout
    from sift_py.ingestion.flow import FlowConfig

_REMEDY = (
    "A flow on the server never changes: use a new ingestion_client_key, or put the change into a"
    " flow of another name."
)


def reconcile(
    declared: Iterable[FlowConfig], on_server: Iterable[FlowConfigPb]
) -> tuple[dict[str, FlowLayout], list[FlowConfig]]:
    """Compare flows by name, and channels by fully qualified name and data type.

    Channels may have another order, and the server may have more of them; units, descriptions,
    enum types and bit field elements are not compared. Of two flows of one name on the server the
    last one counts.

    Returns:
        The layouts of all declared flows by name, and those that the server does not have.

    Raises:
        IngestionValidationError: A channel was added to a flow that the server has, or has another
            type there; names the flow and the channel.
    """
    server_flows = {flow.name: flow for flow in on_server}
    layouts = {}
    missing = []
    for flow in declared:
        server_flow = server_flows.get(flow.name)
        if server_flow is None:
            missing.append(flow)
            layouts[flow.name] = layout_of(flow)
            continue
        _check_flow(flow, server_flow)
        wire_fqns = [channel_fqn(channel) for channel in server_flow.channels]
        layouts[flow.name] = layout_of(flow, wire_fqns)
    return layouts, missing


def _check_flow(flow: FlowConfig, server_flow: FlowConfigPb) -> None:
    server_types = {channel_fqn(channel): channel.data_type for channel in server_flow.channels}
    for channel in flow.channels:
        fqn = channel.fqn()
        if fqn not in server_types:
            raise IngestionValidationError(
                f"flow '{flow.name}': the server has this flow without the channel '{fqn}'."
                f" {_REMEDY}"
            )
        if server_types[fqn] != channel.data_type.value:
            raise IngestionValidationError(
                f"flow '{flow.name}': channel '{fqn}' is '{channel.data_type.as_human_str()}' here"
                f" and '{_type_name(server_types[fqn])}' on the server. {_REMEDY}"
            )


def _type_name(number: ChannelDataTypePb.ValueType) -> str:
    try:
        return ChannelDataType.from_pb(number).as_human_str()
    except ValueError:
        return f"data type {number}"
