"""Pictures of channels over time, as files or for a terminal.

```text
Readings ─► gathered (curves) ─► panels ─► picture (PNG, SVG, PDF) or drawing (terminal)
              reduction: few points of many, as they come
```

Nothing here asks a server: points and annotations are passed in.
"""

from sift_server.plotting.curves import (
    Curve,
    Kind,
    TooManyCurvesError,
    curve_of,
    gathered,
    is_number,
)
from sift_server.plotting.panels import Mark, Plot
from sift_server.plotting.terminal import drawing

__all__ = [
    "Curve",
    "Kind",
    "Mark",
    "Plot",
    "TooManyCurvesError",
    "curve_of",
    "drawing",
    "gathered",
    "is_number",
]
