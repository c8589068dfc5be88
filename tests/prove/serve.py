"""`sift serve` with limits so small that all it does from time to time, it does all the time.

    python tests/prove/serve.py LIMITS serve --data-dir DIR ...

`LIMITS` is what `Limits.to_json` gives.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import sys


@dataclasses.dataclass(frozen=True)
class Limits:
    """Limits of the log, the hot columns and the upkeep; see there what they mean."""

    segment_bytes_max: int
    flush_interval_ms: int
    checkpoint_commits: int
    merge_files: int

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))


def main() -> None:
    """Run the command with smaller limits."""
    from sift_server.commands import main as command  # noqa: PLC0415
    from sift_server.commands import serve  # noqa: PLC0415
    from sift_server.ingest import flusher  # noqa: PLC0415
    from sift_server.lake import StoreLimits, compaction, delta, upkeep  # noqa: PLC0415
    from sift_server.log import LogLimits, files  # noqa: PLC0415

    limits = Limits(**json.loads(sys.argv.pop(1)))
    serve.StoreLimits = functools.partial(StoreLimits, flush_interval_ms=limits.flush_interval_ms)
    files.LogLimits = functools.partial(LogLimits, segment_bytes_max=limits.segment_bytes_max)
    delta.CHECKPOINT_COMMITS = limits.checkpoint_commits
    compaction.MERGE_FILES = limits.merge_files
    upkeep.COMPACT_INTERVAL_MS = 50
    upkeep.TIDY_INTERVAL_S = 0.2
    upkeep.RETRY_INTERVAL_MS = 200
    flusher.POLL_INTERVAL_MS = 20
    flusher.RETRY_INTERVAL_MS = 200
    command()


if __name__ == "__main__":
    main()
