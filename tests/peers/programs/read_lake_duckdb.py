"""Reads the table in a folder through DuckDB's own reader of Delta tables; prints a row a line."""

import json
import struct
import sys
from pathlib import Path

import duckdb
import duckdb_extension_delta

extension = next(Path(duckdb_extension_delta.__file__).parent.rglob("delta.duckdb_extension"))
connection = duckdb.connect()
connection.execute(f"LOAD '{extension}'")
query = connection.execute(f"SELECT * FROM delta_scan('{sys.argv[1]}')")
names = [column[0] for column in query.description]
for row in query.fetchall():
    found = dict(zip(names, row, strict=True))
    for name, layout in (("value_double", ">d"), ("value_float", ">f")):
        if found[name] is not None:
            found[name] = struct.pack(layout, found[name]).hex()
    if found["value_bytes"] is not None:
        found["value_bytes"] = bytes(found["value_bytes"]).hex()
    print(json.dumps(found, default=str))
