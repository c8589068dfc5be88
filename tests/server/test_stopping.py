"""A server that is asked to stop does so in order, whenever it is asked."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, threading
ending = threading.Event()
other = threading.Thread(target=ending.wait)  # as libraries start them, with nothing blocked
other.start()
from sift_server.commands.stopping import StopSignals
stop = StopSignals()
signal.pthread_sigmask(signal.SIG_BLOCK, [{number}])  # so that the other one gets it
os.kill(os.getpid(), {number})
stop.wait()
ending.set()
print("stopped in order")
"""


@pytest.mark.parametrize("number", ["signal.SIGTERM", "signal.SIGINT"])
def test_a_signal_that_comes_before_the_server_waits_is_not_lost(number: str):
    """Also if the system gives it to a thread of a library."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("{number}", number)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "stopped in order\n"), done.stderr
