"""Honest ends: what is not acknowledged when a block or the program ends is sent then, or told."""

from __future__ import annotations

import atexit
import concurrent.futures.thread  # noqa: F401 - its own end must be registered before ours
import os
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

GOES_ON_S = 1.0
"""A program that ends so long after its main thread has done something in others."""


class _Rest(NamedTuple):
    is_last: bool
    send: Callable[[], object]


_unsent: dict[object, _Rest] = {}
_failures: dict[object, str] = {}
_main_ended_s = 0.0


def hold(owner: object, send: Callable[[], object], *, is_last: bool = False) -> None:
    """Send what somebody has when the program ends; the owner lives until then, or `release`.

    Args:
        owner: Has something that is not acknowledged.
        send: Sends it; or raises an error that says what is not acknowledged, and where it is.
        is_last: Others may give it something when they are sent.
    """
    _unsent[owner] = _Rest(is_last, send)


def release(owner: object) -> None:
    """Nothing is left, or its owner was told."""
    _unsent.pop(owner, None)


def _at_main_thread_end() -> None:
    """Send the rest as long as an embedded server works, which needs pools of threads.

    Those take no work when the main thread has ended, and `atexit` comes after that.
    """
    global _main_ended_s  # noqa: PLW0603 - it ends once
    _send_rests()
    _main_ended_s = time.monotonic()


def _at_exit() -> None:
    if time.monotonic() - _main_ended_s > GOES_ON_S:
        # Other threads went on, with what failed perhaps.
        _failures.clear()
    _send_rests()
    for text in _failures.values():
        if sys.stderr is not None:
            sys.stderr.write(f"sift_py: the program ends with data that was not sent. {text}")


def _send_rests() -> None:
    done = set(_failures)
    # Other threads may still add to it, but not keep the program from ending.
    while left := [(owner, rest) for owner, rest in list(_unsent.items()) if owner not in done]:
        owner, rest = min(left, key=lambda each: each[1].is_last)
        done.add(owner)
        try:
            rest.send()
        except BaseException as error:  # noqa: BLE001 - nobody is left who could catch it
            _failures[owner] = "".join(traceback.format_exception_only(error))


atexit.register(_at_exit)
# Who registers last comes first: before the end of `concurrent.futures`.
getattr(threading, "_register_atexit", atexit.register)(_at_main_thread_end)
if hasattr(os, "register_at_fork"):
    # What the parent has not sent is the parent's.
    os.register_at_fork(after_in_child=_unsent.clear)


def end_after(error: BaseException, end: Callable[[], object], what: str) -> None:
    """End something after an exception; if that fails too, it is a note on the exception."""
    try:
        end()
    except Exception as failure:  # noqa: BLE001 - it must not hide what came first
        notes = getattr(failure, "__notes__", ())
        error.add_note(" ".join([f"{what} failed too: {failure}", *notes]))


def end_all(ends: Iterable[Callable[[], object]], what: str) -> None:
    """End all of several things, and then raise the first failure, with the others as notes."""
    first: Exception | None = None
    for end in ends:
        if first is not None:
            end_after(first, end, what)
            continue
        try:
            end()
        except Exception as failure:  # noqa: BLE001 - raised when all have ended
            first = failure
    if first is not None:
        raise first
