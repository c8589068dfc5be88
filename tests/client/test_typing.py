"""A user's type checker knows the library: it accepts what is right and finds what is not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PROGRAMS = Path(__file__).parent / "programs"


def mypy(program: str, cache: Path) -> str:
    """What a strict check of a program says, without this project's own settings."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--follow-imports=silent",
         f"--cache-dir={cache}", str(PROGRAMS / program)],
        capture_output=True, text=True, check=False, timeout=150, cwd=cache,
    )  # fmt: skip
    assert done.returncode in {0, 1}, done.stderr
    return done.stdout


def test_a_program_is_accepted(tmp_path: Path):
    """Rows are plain dictionaries, and nothing needs a cast."""
    assert mypy("well_typed.py", tmp_path).startswith("Success")


def test_mistakes_are_found(tmp_path: Path):
    """Each on its line, and no others."""
    found = {int(line) for line in re.findall(r":(\d+): error", mypy("badly_typed.py", tmp_path))}
    lines = (PROGRAMS / "badly_typed.py").read_text(encoding="utf-8").splitlines()
    assert found == {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}
