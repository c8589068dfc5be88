"""Work for a core, so that there is something to see on a machine that has nothing to do."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_BEGINS_AT = 0.25
_SHARE_MAX = 0.4
_SECONDS_MAX = 3.0
_WORK = "import time\nend = time.monotonic() + {seconds}\nwhile time.monotonic() < end: pass"


class Exercise:
    """Keeps a core busy for a part of some time, by a process of its own. For one thread.

    It ends with the with-block, if not before.
    """

    def __init__(self, seconds: float) -> None:
        """Take how long all of it takes: it begins after a quarter, and lasts 3 s at the most."""
        self._begins_s = seconds * _BEGINS_AT
        self._seconds = min(seconds * _SHARE_MAX, _SECONDS_MAX)
        self._process: subprocess.Popen[bytes] | None = None

    def is_on(self, elapsed_s: float) -> bool:
        """Whether it goes on; begins it when it is time."""
        if self._process is None and elapsed_s >= self._begins_s:
            work = _WORK.format(seconds=self._seconds)
            self._process = subprocess.Popen([sys.executable, "-c", work])  # noqa: S603 (our own)
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
