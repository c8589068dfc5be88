"""Read telemetry back: channels of an asset, into Arrow, pandas, Polars or NumPy.

```python
from sift_py.data import read_channels

readings = read_channels("test-stand-3", "chamber_*", run="hot fire 12", source="./telemetry")
frame = readings.to_pandas()
```

`sift_py.data.service` and `sift_py.data.query` have the names of published releases.
Reading needs the extra `data`: `pip install 'sift-py[data]'`.
"""

from __future__ import annotations

from sift_py.errors import MissingExtraError

try:
    from sift_py.data.following import Following, follow
    from sift_py.data.iteration import iter_channels
    from sift_py.data.overview import Overview, read_overview
    from sift_py.data.query import CalculatedChannelQuery, ChannelQuery, DataQuery
    from sift_py.data.reading import read_channels
    from sift_py.data.readings import ChannelReadings, Readings
    from sift_py.data.service import DataService
    from sift_py.data.statements import sql
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] not in ("numpy", "pyarrow"):
        raise
    raise MissingExtraError(
        f"reading needs NumPy and Arrow: pip install 'sift-py[data]' ({error})."
    ) from None

__all__ = [
    "CalculatedChannelQuery",
    "ChannelQuery",
    "ChannelReadings",
    "DataQuery",
    "DataService",
    "Following",
    "Overview",
    "Readings",
    "follow",
    "iter_channels",
    "read_channels",
    "read_overview",
    "sql",
]
