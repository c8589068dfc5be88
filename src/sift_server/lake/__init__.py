"""Where points are kept: hot columns in memory, and behind them one Delta table.

`PointStore` is the door: publish, flush, view. What may come in and out is `PointBlock` and
`Points`. `Upkeep` merges small files in the background. `schema` says what the table looks like to
other readers.
"""

from sift_server.lake.block import PointBlock, PointFlow
from sift_server.lake.kernels import warm_up
from sift_server.lake.overview import Overview
from sift_server.lake.points import Points, points_once
from sift_server.lake.removal import Doomed
from sift_server.lake.snapshot import StoreSnapshot
from sift_server.lake.store import DoomedPoints, PointStore, StoreLimits, StoreStats
from sift_server.lake.upkeep import Upkeep
from sift_server.lake.view import ChannelView

__all__ = [
    "ChannelView",
    "Doomed",
    "DoomedPoints",
    "Overview",
    "PointBlock",
    "PointFlow",
    "PointStore",
    "Points",
    "StoreLimits",
    "StoreSnapshot",
    "StoreStats",
    "Upkeep",
    "points_once",
    "warm_up",
]
