"""Makes the next thing while the one before is used."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from queue import Full, Queue
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

__all__ = ["read_ahead"]

AHEAD_MAX = 2
"""How many are made and wait."""

_T = TypeVar("_T")
_POLL_S = 0.1


def read_ahead(things: Iterator[_T]) -> Generator[_T, None, None]:
    """Give what an iterator gives, which a thread asks for a little ahead.

    What it raises is raised here, behind what it gave before. The thread ends when this does.
    """
    maker = _Maker(things)
    thread = threading.Thread(target=maker.run, name="sift-read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            made = maker.queue.get()
            if isinstance(made, _End):
                if made.error is not None:
                    raise made.error
                return
            yield made
    finally:
        maker.is_over.set()
        thread.join()


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None


class _Maker(Generic[_T]):
    def __init__(self, things: Iterator[_T]) -> None:
        self.queue: Queue[_T | _End] = Queue(AHEAD_MAX)
        self.is_over = threading.Event()
        self._things = things

    def run(self) -> None:
        try:
            for one in self._things:
                self._put(one)
                if self.is_over.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 - raised where the things are used
            self._put(_End(error))
        else:
            self._put(_End(None))

    def _put(self, made: _T | _End) -> None:
        while not self.is_over.is_set():
            try:
                self.queue.put(made, timeout=_POLL_S)
            except Full:
                continue
            return
