"""Reads back over a gRPC channel, with the generated stubs: what there is, rules, annotations.

What the commands, the demo and the examples use.
"""

from sift_server.readback.annotations import (
    list_annotations,
    preview_rules,
    wait_for_annotations,
)
from sift_server.readback.extents import Extent, channel_extents
from sift_server.readback.names import (
    find_assets,
    find_runs,
    list_assets,
    list_channels,
    list_rules,
    list_runs,
)
from sift_server.readback.presence import channels_with_points

__all__ = [
    "Extent",
    "channel_extents",
    "channels_with_points",
    "find_assets",
    "find_runs",
    "list_annotations",
    "list_assets",
    "list_channels",
    "list_rules",
    "list_runs",
    "preview_rules",
    "wait_for_annotations",
]
