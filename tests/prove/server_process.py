"""A `sift serve` that may die at any moment, also while it starts."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sift_server.faults import PLAN_VARIABLE, WHILE_VARIABLE

if TYPE_CHECKING:
    from prove.serve import Limits

PROGRAM = Path(__file__).with_name("serve.py")
END_TIMEOUT_S = 60

_FAULT = re.compile(rb"^fault (\S+)@(\d+) (\w+) at (\d+)$", re.MULTILINE)


class Fault(NamedTuple):
    """A fault that a server told of; `at_ns` is a time of `time.monotonic_ns`."""

    point: str
    action: str
    at_ns: int


class ServerProcess:
    """The server of a folder, started.

    Args:
        data_dir: The folder.
        limits: Its limits.
        output: File for what it prints.
        faults: Plan of faults; it holds while `faulty` is there.
        faulty: That file.
    """

    def __init__(
        self,
        data_dir: Path,
        limits: Limits,
        output: Path,
        faults: str = "",
        faulty: Path | None = None,
    ) -> None:
        self.data_dir = data_dir
        self._output = output
        environment = {key: each for key, each in os.environ.items() if key != PLAN_VARIABLE}
        if faults:
            environment[PLAN_VARIABLE] = faults
            environment[WHILE_VARIABLE] = str(faulty)
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, str(PROGRAM), limits.to_json(), "serve"),
                    *("--data-dir", str(data_dir), "--listen", "127.0.0.1:0"),
                    *("--retention-s", "0"),
                ],
                stdout=subprocess.PIPE,
                stderr=file,
                env=environment,
            )
        self.address = ""
        self._ready = threading.Event()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    @property
    def api_key(self) -> str:
        """What callers must send."""
        return (self.data_dir / "api_key").read_text().strip()

    def _read(self) -> None:
        for line in self.process.stdout:
            if line.startswith(b"ready on "):
                self.address = line.removeprefix(b"ready on ").strip().decode()
                self._ready.set()
        self._ready.set()

    def wait_ready(self, timeout_s: float = END_TIMEOUT_S) -> bool:
        """Wait until it takes calls; False if it ended, or the time did."""
        self._ready.wait(timeout_s)
        return bool(self.address)

    def wait_end(self, timeout_s: float) -> bool:
        """Wait until it ended; False if it did not."""
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def ask_to_stop(self) -> None:
        """SIGTERM."""
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> int:
        """`kill -9`, if it still runs; returns how it ended: minus a signal, or its status."""
        self.process.kill()
        status = self.process.wait(END_TIMEOUT_S)
        self._reading.join(END_TIMEOUT_S)
        self.process.stdout.close()
        return status

    def faults(self) -> list[Fault]:
        """Faults so far."""
        found = _FAULT.findall(self._output.read_bytes())
        return [Fault(one.decode(), two.decode(), int(at)) for one, _, two, at in found]

    def wait_fault(self, timeout_s: float) -> bool:
        """Wait for a fault; False if none came."""
        deadline = time.monotonic() + timeout_s
        while not self.faults():
            if time.monotonic() > deadline or self.process.poll() is not None:
                return bool(self.faults())
            time.sleep(0.02)
        return True

    def words(self) -> str:
        """What it printed of errors."""
        return self._output.read_text(errors="replace")
