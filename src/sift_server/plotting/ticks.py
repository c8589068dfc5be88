"""Where an axis of times has ticks, and what they say: in UTC, exact to the nanosecond."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECOND_NS = 1_000_000_000
_DAY_NS = 86_400 * _SECOND_NS
_MINUTE_S, _HOUR_S = 60, 3_600
_STEPS_S = (
    *(1, 2, 5, 10, 15, 30),
    *(_MINUTE_S * each for each in (1, 2, 5, 10, 15, 30)),
    *(_HOUR_S * each for each in (1, 2, 3, 6, 12)),
)
_SMALL_NS = 1_000
"""Below that, ticks are told as nanoseconds behind the first one."""


class TimeTicks(NamedTuple):
    """Ticks.

    Attributes:
        times_ns: Where they are, sorted.
        labels: What they say.
        caption: What belongs to all of them: the day, and that it is UTC.
    """

    times_ns: list[int]
    labels: list[str]
    caption: str


def time_ticks(start_ns: int, end_ns: int, count: int) -> TimeTicks:
    """About `count` ticks between two times, at round ones."""
    wanted_ns = max(1, (end_ns - start_ns) // max(count, 1))
    step_ns = next((step for step in _steps_ns() if step >= wanted_ns), wanted_ns)
    first_ns = -(-start_ns // step_ns) * step_ns
    times_ns = list(range(first_ns, end_ns + 1, step_ns))
    if step_ns < _SMALL_NS:
        labels = [f"+{time_ns - first_ns} ns" for time_ns in times_ns]
        return TimeTicks(times_ns, labels, f"after {_written(first_ns)} UTC")
    if step_ns >= _DAY_NS:
        return TimeTicks(times_ns, [_written(each)[:10] for each in times_ns], "UTC")
    digits = next(digits for digits in (0, 3, 6, 9) if step_ns % 10 ** (9 - digits) == 0)
    is_in_minutes = step_ns % (60 * _SECOND_NS) == 0
    length = 16 if is_in_minutes else (19 if not digits else 20 + digits)
    texts = [_written(each)[:length] for each in times_ns]
    days = sorted({text[:10] for text in (_written(start_ns), _written(end_ns))})
    labels = [text[11:] for text in texts]
    if len(days) > 1:
        # The first tick of a day names it.
        before = ""
        for number, text in enumerate(texts):
            if text[:10] != before:
                labels[number] = f"{text[11:]}\n{text[:10]}"
            before = text[:10]
        return TimeTicks(times_ns, labels, "UTC")
    return TimeTicks(times_ns, labels, f"{days[0]}, UTC")


def _steps_ns() -> Iterator[int]:
    for exponent in range(9):
        for digit in (1, 2, 5):
            yield digit * 10**exponent
    for seconds in _STEPS_S:
        yield seconds * _SECOND_NS
    for days in (1, 2, 7, 14, 28, 91, 182, 365, 3_650, 36_500):
        yield days * _DAY_NS


def _written(time_ns: int) -> str:
    """A time with all of its digits: `2026-01-31 12:00:00.000000000`."""
    timestamp = Timestamp()
    timestamp.FromNanoseconds(time_ns)
    text = timestamp.ToJsonString().removesuffix("Z").replace("T", " ")
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.ljust(9, '0')}"
