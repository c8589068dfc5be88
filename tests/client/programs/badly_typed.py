"""Mistakes that a type checker finds; each line that has one says so."""

from sift_py.grpc.transport import SiftChannelConfig
from sift_py.ingestion.channel import ChannelConfig, ChannelDataType, double_value
from sift_py.ingestion.flow import Flow, FlowConfig

SiftChannelConfig(apikey="key")  # wrong
ChannelConfig("velocity", "double")  # wrong
FlowConfig("readings", [ChannelDataType.DOUBLE])  # wrong
row: Flow = {"flow_name": 5, "timestamp": 5, "channel_values": []}  # wrong
double_value("1.5")  # wrong
