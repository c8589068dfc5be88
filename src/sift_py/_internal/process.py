"""The process that something belongs to."""

from __future__ import annotations

import os

from sift_py.errors import ServiceClosedError


class OwnProcess:
    """The process in which something was made: a fork has neither its threads nor its connections.

    Attributes:
        is_this: Whether it is the process that asks.
    """

    __slots__ = ("_id", "_what")

    def __init__(self, what: str) -> None:
        """Remember this process; `what` was made in it."""
        self._what = what
        self._id = os.getpid()

    @property
    def is_this(self) -> bool:
        return os.getpid() == self._id

    def check(self) -> None:
        """Refuse to work in a fork, where it would wait for ever.

        Raises:
            ServiceClosedError: This is another process.
        """
        if os.getpid() != self._id:
            raise ServiceClosedError(
                f"{self._what} was opened before this process was forked; open one after the fork."
            )
