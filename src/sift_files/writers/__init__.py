"""Files of telemetry, written from Arrow tables that come one after the other.

```python
with writing(Path("flight.parquet"), table_format(Path("flight.parquet")), schema) as writer:
    for table in tables:
        writer.write(table)
```

A table is *wide*: a column `time`, and a column for each channel, null where it has no value; a
column `run` may say which run a row is of. The schema says what channels are: its fields carry
`unit`, `data_type`, and for an enum `enum_types`, as `sift_py.data` gives them.

A file appears when it is complete, or not at all. Memory is taken for a table.
"""

from sift_files.writers.atomic import whole_or_nothing
from sift_files.writers.channels import WrittenChannel, channels_of
from sift_files.writers.formats import TableWriter, WrittenFormat, table_format, writing

__all__ = [
    "TableWriter",
    "WrittenChannel",
    "WrittenFormat",
    "channels_of",
    "table_format",
    "whole_or_nothing",
    "writing",
]
