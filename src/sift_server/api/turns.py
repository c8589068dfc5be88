"""Calls whose answers are large take turns, connection by connection.

A client may ask for hundreds of pages of points at a time, as the newest published one does. Were
they all answered at once, what it has not read yet would fill the memory, and be thrown away (see
`unread_answers`). So only a few of one connection are made at a time, and the next one begins when
an answer is on its way: full means slow. Whoever does not read waits for himself alone.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable

ANSWERS_AT_ONCE_MAX = 4
"""Large answers of one connection that are made, or wait to be read, at a time: some 14 MB of
points. More would not be faster: making one takes less time than reading it."""


class Turns:
    """Who may go on. For the event loop of a server only."""

    def __init__(self, at_once_max: int = ANSWERS_AT_ONCE_MAX) -> None:
        self._at_once_max = at_once_max
        self._gates: dict[Hashable, _Gate] = {}

    @asynccontextmanager
    async def turn(self, connection: Hashable) -> AsyncIterator[None]:
        """Wait for a turn of a connection, in the order of coming; it ends with the with-block."""
        gate = self._gates.get(connection)
        if gate is None:
            gate = self._gates[connection] = _Gate(asyncio.Semaphore(self._at_once_max))
        gate.calls += 1
        try:
            async with gate.semaphore:
                yield
        finally:
            gate.calls -= 1
            if not gate.calls:
                del self._gates[connection]


@dataclass(slots=True)
class _Gate:
    """The turns of one connection.

    Attributes:
        calls: How many wait for a turn or have one.
    """

    semaphore: asyncio.Semaphore
    calls: int = 0
