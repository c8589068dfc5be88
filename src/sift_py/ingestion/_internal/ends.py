"""What the messages of a flow have in common, made once."""

from __future__ import annotations

from sift_wire.messages import MessageEnds, message_ends

FLOWS_KEPT_MAX = 100_000
"""Flows that are remembered; more make it start anew."""


class FlowEnds(dict[str, MessageEnds]):
    """`MessageEnds` by the name of the flow, made at the first look. Safe from many threads.

    Attributes:
        common: What all flows share: ingestion config, run, organization, flag.
    """

    def __init__(
        self,
        ingestion_config_id: str,
        run_id: str = "",
        organization_id: str = "",
        end_stream_on_error: bool = False,
    ) -> None:
        super().__init__()
        self.common = (ingestion_config_id, run_id, organization_id, end_stream_on_error)

    def __missing__(self, flow_name: str) -> MessageEnds:
        ingestion_config_id, run_id, organization_id, end_stream_on_error = self.common
        if len(self) >= FLOWS_KEPT_MAX:
            self.clear()
        ends = self[flow_name] = message_ends(
            ingestion_config_id,
            flow_name,
            run_id,
            organization_id,
            end_stream_on_error=end_stream_on_error,
        )
        return ends
