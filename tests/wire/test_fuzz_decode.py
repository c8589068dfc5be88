"""Messages that are almost right; `make fuzz` decodes ten million of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz.decode import run

TESTS = Path(__file__).parents[1]
COUNT = 20_000
COUNT_SLOW = 1500


def fuzzed(*options: str, **environment: str) -> str:
    """What the command line says of the same messages under another Numba."""
    done = subprocess.run(
        [sys.executable, "-m", "fuzz.decode", "--count", str(COUNT_SLOW), *options],
        env={**os.environ, "PYTHONPATH": str(TESTS), "PYTHONWARNINGS": "ignore", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_messages_that_are_almost_right_are_judged_as_the_library_does():
    """Nothing crashes, nothing is read from outside a message, and rows are the library's."""
    result = run(COUNT, seed=1, check_every=1)
    assert result.n_messages == result.n_compared == COUNT
    assert COUNT / 10 < result.n_rows < COUNT / 2


def test_no_index_is_outside_of_its_array(tmp_path):
    """Compiled with checks of bounds, each message alone in its array."""
    environment = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    assert f"{COUNT_SLOW} compared" in fuzzed("--alone", "--check-every", "1", **environment)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_plain_python_run_agrees(seed):
    """The kernels are ordinary functions first; compiled or not, all of them find the same."""
    options = ("--seed", str(seed), "--check-every", "1")
    plain = fuzzed(*options, NUMBA_DISABLE_JIT="1")
    digest = run(COUNT_SLOW, seed=seed, check_every=1).digest.hexdigest()
    assert f"{COUNT_SLOW} compared" in plain
    assert f"digest {digest[:16]}" in plain
