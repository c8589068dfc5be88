"""`make prove`: kills a server a few hundred times, and says whether anything was lost."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from prove.plan import plan
from prove.run import Report, prove


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=250, help="servers to kill, about")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--folder", type=Path, help="where to work; kept")
    arguments = parser.parse_args()
    root = arguments.folder or Path(tempfile.mkdtemp(prefix="sift-prove-"))
    root.mkdir(parents=True, exist_ok=True)
    sys.stdout.write(f"seed: {arguments.seed}\n")
    sys.stdout.flush()
    begin = time.monotonic()
    report = Report()
    prove(plan(arguments.seed, arguments.kills), root, arguments.seed, report)
    sys.stdout.write(f"{report.text()}\nin {time.monotonic() - begin:.0f} s\n")
    if report.is_good and arguments.folder is None:
        shutil.rmtree(root)
    return 0 if report.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
