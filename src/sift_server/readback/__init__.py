"""Reads back over a gRPC channel, with the generated stubs: what there is, rules, annotations.

What the commands, the demo and the examples use.
"""

from sift_server.readback.annotations import (
    list_annotations,
    preview_rules,
    wait_for_annotations,
)
from sift_server.readback.names import (
    find_assets,
    find_runs,
    list_channels,
    list_rules,
)

__all__ = [
    "find_assets",
    "find_runs",
    "list_annotations",
    "list_channels",
    "list_rules",
    "preview_rules",
    "wait_for_annotations",
]
