"""Durations as expressions write them: a number of seconds, or a text such as `1m30s`."""

from __future__ import annotations

import re
from decimal import Decimal

NS_PER = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60 * 1_000_000_000,
    "h": 3_600 * 1_000_000_000,
}

WINDOW_NS_MAX = 600 * 1_000_000_000
"""Longest window, and longest `persistence`."""

_TEXT_CHARS_MAX = 40
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|ms|s|m|h)")


class DurationError(ValueError):
    """What is written is no duration, or too long a one; the message says which."""


def duration_ns(written: object) -> int:
    """Read a duration of more than 0 and at most `WINDOW_NS_MAX` nanoseconds.

    Raises:
        DurationError: It is none.
    """
    amount = _amount_ns(written)
    if amount is None:
        raise DurationError(
            f"{_shown(written)} is no duration: write seconds as a number, or a text such as"
            ' "500ms", "10s" or "1m30s"'
        )
    if not 0 < amount <= WINDOW_NS_MAX:
        minutes = WINDOW_NS_MAX // NS_PER["m"]
        raise DurationError(
            f"{_shown(written)} is not more than 0 and at most {minutes} minutes (WINDOW_NS_MAX)"
        )
    if amount != int(amount):
        raise DurationError(f"{_shown(written)} is no whole number of nanoseconds")
    return int(amount)


def _amount_ns(written: object) -> Decimal | None:
    if isinstance(written, bool):
        return None
    if isinstance(written, int | float):
        amount = Decimal(repr(written))
        return amount * NS_PER["s"] if amount.is_finite() else None
    if not isinstance(written, str) or len(written) > _TEXT_CHARS_MAX:
        return None
    amount = Decimal(0)
    end = 0
    for part in _PART.finditer(written):
        if part.start() != end:
            return None
        amount += Decimal(part[1]) * NS_PER[part[2]]
        end = part.end()
    return amount if end == len(written) and end else None


def _shown(written: object) -> str:
    text = repr(written)
    return text if len(text) <= 2 * _TEXT_CHARS_MAX else f"{text[: 2 * _TEXT_CHARS_MAX]}..."
