"""Reads back over a gRPC channel, with the generated stubs: points, rules, annotations.

What the commands, the demo and the examples use.
"""

from sift_server.readback.annotations import (
    list_annotations,
    preview_rules,
    wait_for_annotations,
)
from sift_server.readback.names import find_assets, find_runs, list_rules
from sift_server.readback.points import Series, list_channels, read_series

__all__ = [
    "Series",
    "find_assets",
    "find_runs",
    "list_annotations",
    "list_channels",
    "list_rules",
    "preview_rules",
    "read_series",
    "wait_for_annotations",
]
