"""What makes a URL good for one file, for a while, without a key."""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sift_server.exports.limits import ExportLimits

_BYTES = 32
"""More than anybody can guess."""

_NS_PER_S = 1_000_000_000


class Tickets:
    """Tickets of files. Forgotten when the server stops. Safe from many threads."""

    def __init__(self, limits: ExportLimits, now_ns: Callable[[], int]) -> None:
        self._limits = limits
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._jobs: dict[str, tuple[str, int]] = {}
        """Id of the job, and when it ends, by ticket: the oldest first."""

    def issue(self, job_id: str) -> str:
        """A new ticket for the file of a job."""
        ticket = secrets.token_urlsafe(_BYTES)
        with self._lock:
            while len(self._jobs) >= self._limits.urls_max:
                del self._jobs[next(iter(self._jobs))]
            self._jobs[ticket] = job_id, self._now_ns() + self._limits.url_valid_s * _NS_PER_S
        return ticket

    def job_of(self, ticket: str) -> str | None:
        """The job whose file a ticket is for; None if it is none, or not good any more."""
        with self._lock:
            job_id, end_ns = self._jobs.get(ticket, ("", 0))
            if not job_id or self._now_ns() < end_ns:
                return job_id or None
            del self._jobs[ticket]
            return None
