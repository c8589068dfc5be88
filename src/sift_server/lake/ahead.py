"""Makes the next item of an iterator while the one before is used."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")


def one_ahead(items: Iterator[T], thread_name: str) -> Iterator[T]:
    """Give what an iterator gives; each item but the first is made on a thread of its own.

    One item waits at the most. Whoever stops on the way waits for the one that is being made.

    Args:
        items: Where items come from; None is none.
        thread_name: What the thread is called.
    """
    item = next(items, None)
    if item is None:
        return
    with ThreadPoolExecutor(1, thread_name_prefix=thread_name) as thread:

        def later() -> Callable[[], T | None]:
            try:
                return thread.submit(next, items, None).result
            except RuntimeError:
                # The interpreter shuts down, and starts no more threads.
                return partial(next, items, None)

        while item is not None:
            coming = later()
            yield item
            item = coming()
