"""Where points are kept: hot columns in memory, and behind them one Delta table.

`PointStore` is the door: publish, flush, scan.
"""

from sift_server.lake.batch import PointBatch
from sift_server.lake.points import Points, kind_of
from sift_server.lake.store import PointStore, StoreLimits

__all__ = ["PointBatch", "PointStore", "Points", "StoreLimits", "kind_of"]
