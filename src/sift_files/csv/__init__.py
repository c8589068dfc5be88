"""CSV files: found out about, and read in blocks of rows.

`source` gives a file's text, `layout` finds out how it is written, `blocks` cuts it between rows,
`parse` makes columns of a block, `guess` decides on types, `detect` and `read` are the doors.
"""

from sift_files.csv.detect import detect_csv
from sift_files.csv.read import read_csv

__all__ = ["detect_csv", "read_csv"]
