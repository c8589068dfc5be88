"""Fault points do nothing, unless the environment of the process says so."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from sift_server import faults

if TYPE_CHECKING:
    from pathlib import Path


def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"from sift_server import faults\n{program}"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_without_a_plan_nothing_happens(monkeypatch: pytest.MonkeyPatch):
    """Not even if the variable is set later: it is read once."""
    monkeypatch.setenv(faults.PLAN_VARIABLE, "flush@1+=EIO")
    faults.reach("flush")
    buffers = [b"one", b"two"]
    assert faults.reach_write("log.write", buffers) is buffers


def test_a_plan_counts_passes():
    """Each point for itself; `+` stands for all later ones."""
    done = run(
        "def code(point):\n"
        "    try: faults.reach(point)\n"
        "    except OSError as error: return error.errno\n"
        "print([code('flush') for _ in range(4)], [code('file.sync') for _ in range(4)])",
        SIFT_FAULTS="flush@2=EIO,file.sync@3+=ENOSPC",
    )
    eio, nospc = errno.EIO, errno.ENOSPC
    assert done.stdout == f"{[None, eio, None, None]} {[None, None, nospc, nospc]}\n"
    assert [line.rpartition(" at ")[0] for line in done.stderr.splitlines()] == [
        "fault flush@2 EIO", "fault file.sync@3 ENOSPC", "fault file.sync@4 ENOSPC"
    ]  # fmt: skip


def test_a_plan_may_hold_while_a_file_is_there(tmp_path: Path):
    """Passes without it do not count."""
    done = run(
        "import os, pathlib\n"
        "file = pathlib.Path(os.environ['SIFT_FAULTS_WHILE'])\n"
        "faults.reach('flush')\n"
        "file.touch()\n"
        "faults.reach('flush')\n"
        "file.unlink()\n"
        "faults.reach('flush')\n"
        "print('here', flush=True)\n"
        "file.touch()\n"
        "faults.reach('flush')\n",
        SIFT_FAULTS="flush@2=kill",
        SIFT_FAULTS_WHILE=str(tmp_path / "file"),
    )
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "here\n")
    assert done.stderr.startswith("fault flush@2 kill at ")


def test_a_short_write_is_a_part_of_it():
    """Of many buffers the last is left over, of one its second half."""
    done = run(
        "print([bytes(each) for each in faults.reach_write('log.write', [b'one', b'two'])])\n"
        "print([bytes(each) for each in faults.reach_write('log.write', [b'three'])])\n"
        "print([bytes(each) for each in faults.reach_write('log.write', [b'4'])])",
        SIFT_FAULTS="log.write@1+=short",
    )
    assert done.stdout == "[b'one']\n[b'th']\n[b'4']\n"


@pytest.mark.parametrize("plan", ["", "flush", "flush@0=kill", "nowhere@1=kill", "flush@1=melt"])
def test_a_plan_that_makes_no_sense_is_refused(plan: str):
    """A harness that tests nothing would be worse than none."""
    done = run("", SIFT_FAULTS=plan)
    assert done.returncode == 1
    assert f"{plan!r} is no fault" in done.stderr
