"""Environments of their own for published packages, so that they can take part in tests."""

from __future__ import annotations

import fcntl
import re
import subprocess
import sys
import venv
from pathlib import Path

BUILD = Path(__file__).resolve().parents[2] / "build" / "peers"


def peer_python(requirements: tuple[str, ...]) -> Path:
    """The interpreter of an environment that has these packages, made at the first call.

    Test processes that run side by side share it: one makes it, the others wait.
    """
    folder = BUILD / re.sub(r"[^\w.=-]+", "_", "+".join(requirements))
    python = folder / "bin" / "python"
    ready = folder / "ready"
    BUILD.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            venv.create(folder, clear=True, with_pip=True)
            subprocess.run(
                [python, "-m", "pip", "install", "--quiet", *requirements],
                check=True,
                stdout=sys.stderr,
                timeout=600,
            )
            ready.touch()
    return python
