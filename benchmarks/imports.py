"""A CSV file of a million rows and 50 columns, imported until all is acknowledged.

    PYTHONPATH=tests:. .venv/bin/python -m benchmarks.imports

Writes the file and a server's folder to a temporary place, and removes both.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
from pyarrow import csv

from support.serving import ServeProcess

ROWS = 1_000_000
COLUMNS = 50
ROWS_AT_ONCE = 100_000


def write_wide_csv(path: Path, rows: int = ROWS, columns: int = COLUMNS) -> None:
    """A time column, and as many others less one: noise with digits enough, and some integers."""
    random = np.random.default_rng(1)
    for first in range(0, rows, ROWS_AT_ONCE):
        count = min(ROWS_AT_ONCE, rows - first)
        table = {"time_ns": 1_750_000_000_000_000_000 + (first + np.arange(count)) * 1_000_000}
        for number in range(1, columns):
            if number % 5:
                table[f"channel_{number}"] = np.round(random.normal(0, 100, count), 6)
            else:
                table[f"channel_{number}"] = random.integers(0, 65_536, count)
        options = csv.WriteOptions(include_header=first == 0)
        with path.open("ab") as file:
            csv.write_csv(pa.table(table), file, options)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--columns", type=int, default=COLUMNS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wide.csv"
        write_wide_csv(path, options.rows, options.columns)
        server = ServeProcess(Path(folder) / "data")
        began = time.perf_counter()
        done = subprocess.run(
            [
                *(sys.executable, "-c", "from sift_server.commands import main; main()"),
                *("import", str(path), "--asset", "wide", "--yes", "--json"),
                *("--uri", f"http://{server.address}"),
            ],
            env={**os.environ, "SIFT_API_KEY": server.api_key},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        seconds = time.perf_counter() - began
        client = resource.getrusage(resource.RUSAGE_CHILDREN)
        ours = psutil.Process(server.process.pid).cpu_times()
        server.stop()
        print(f"{path.stat().st_size / 1e6:,.0f} MB: {seconds:.1f} s")
        print(f"processor: command {client.ru_utime + client.ru_stime:.1f} s", end="")
        print(f", server {ours.user + ours.system:.1f} s with its start")
        print(json.dumps(json.loads(done.stdout), indent=2))


if __name__ == "__main__":
    main()
