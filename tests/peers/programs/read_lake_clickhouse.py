"""Reads the table in a folder through ClickHouse; prints a row a line."""

import json
import sys

import chdb

QUERY = """
SELECT toString(date) AS date, asset, channel, channel_id, run_id,
    toString(timestamp_ns) AS timestamp_ns,
    value_double IS NULL AS no_double, value_float IS NULL AS no_float,
    reinterpretAsUInt64(value_double) AS double_bits,
    reinterpretAsUInt32(value_float) AS float_bits,
    toString(value_int64) AS value_int64, toString(value_uint64) AS value_uint64,
    value_bool, value_string, lower(hex(value_bytes)) AS value_bytes
FROM deltaLakeLocal('{folder}')
"""

answer = chdb.query(QUERY.format(folder=sys.argv[1]), "JSONEachRow")
for line in str(answer).splitlines():
    if not line.strip():
        continue
    row = json.loads(line)
    row["value_double"] = None if row.pop("no_double") else f"{int(row['double_bits']):016x}"
    row["value_float"] = None if row.pop("no_float") else f"{int(row['float_bits']):08x}"
    del row["double_bits"], row["float_bits"]
    print(json.dumps(row))
