"""Reads hot columns and table as one, and turns points into the messages of the data service."""

from sift_server.query.reader import Page, PointReader, RunPoints
from sift_server.query.values import AssetInfo, ChannelInfo, RunInfo, data_message

__all__ = [
    "AssetInfo",
    "ChannelInfo",
    "Page",
    "PointReader",
    "RunInfo",
    "RunPoints",
    "data_message",
]
