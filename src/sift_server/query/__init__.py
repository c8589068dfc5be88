"""Reads hot columns and table as one, and turns points into the messages of the data service."""

from sift_server.query.reader import Page, PointReader, RunPoints
from sift_server.query.sampling import RunSource, channel_sources, is_sampled, read_sampled
from sift_server.query.values import AssetInfo, ChannelInfo, RunInfo, channel_info, data_message

__all__ = [
    "AssetInfo",
    "ChannelInfo",
    "Page",
    "PointReader",
    "RunInfo",
    "RunPoints",
    "RunSource",
    "channel_info",
    "channel_sources",
    "data_message",
    "is_sampled",
    "read_sampled",
]
