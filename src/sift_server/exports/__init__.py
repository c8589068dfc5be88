"""Exports that clients ask for: points into files, in the background, and URLs to fetch them from.

```text
request ─► plan ─► job ─► worker: spans of points ─► files ─► folder ─► ticket ─► download
```

Nothing here knows the protocol's messages but queries: a plan says what to read.
"""

from sift_server.exports.folder import ExportFolder
from sift_server.exports.limits import ExportLimits
from sift_server.exports.plan import ExportPlan, PlannedColumn, PlannedFile
from sift_server.exports.tickets import Tickets
from sift_server.exports.worker import ExportWorker, PlanOf

__all__ = [
    "ExportFolder",
    "ExportLimits",
    "ExportPlan",
    "ExportWorker",
    "PlanOf",
    "PlannedColumn",
    "PlannedFile",
    "Tickets",
]
