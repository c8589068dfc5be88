"""Files of telemetry: what is in them, and their rows as columns.

`detect` looks at a file and gives a `FilePlan`, which a person may correct; `read` gives the rows
as the plan has them, in batches, with times in nanoseconds. Nothing here knows of a client or a
server. Libraries of formats are loaded when a file of theirs is.

```python
plan = detect(Path("flight.csv"))
for batch in read(Path("flight.csv"), plan):
    print(batch.times_ns, batch.columns["altitude"])
```
"""

from sift_files.batch import BadCell, Batch, KeptText, OnBadCell, OnError
from sift_files.corrections import Corrections, corrected
from sift_files.documents import load_plan, plan_document, plan_of_document, save_plan
from sift_files.errors import (
    BadCellError,
    FilesError,
    MissingLibraryError,
    PlanError,
    UnreadableFileError,
)
from sift_files.formats import detect, format_of, read
from sift_files.hints import Hints
from sift_files.plan import (
    ColumnPlan,
    CsvLayout,
    DataType,
    FileFormat,
    FilePlan,
    LongLayout,
    TablePlan,
    TimeFormat,
    TimePlan,
)

__all__ = [
    "BadCell",
    "BadCellError",
    "Batch",
    "ColumnPlan",
    "Corrections",
    "CsvLayout",
    "DataType",
    "FileFormat",
    "FilePlan",
    "FilesError",
    "Hints",
    "KeptText",
    "LongLayout",
    "MissingLibraryError",
    "OnBadCell",
    "OnError",
    "PlanError",
    "TablePlan",
    "TimeFormat",
    "TimePlan",
    "UnreadableFileError",
    "corrected",
    "detect",
    "format_of",
    "load_plan",
    "plan_document",
    "plan_of_document",
    "read",
    "save_plan",
]
