"""Reads the JSON of questions: each is an object with some known keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sift_server.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Collection

NS_MIN, NS_MAX = -(2**63), 2**63 - 1


def object_of(asked: Any, known: Collection[str]) -> dict[str, Any]:  # noqa: ANN401 (any JSON)
    """The question itself.

    Raises:
        InvalidArgumentError: It is no object, or has a key that is none of those known.
    """
    if not isinstance(asked, dict):
        raise InvalidArgumentError("the question is a JSON object")
    for key in asked:
        if key not in known:
            raise InvalidArgumentError(f"{key!r} is none of {', '.join(sorted(known))}")
    return asked


def text_of(asked: dict[str, Any], key: str) -> str | None:
    """A string; None if it is left out."""
    text = asked.get(key)
    if text is not None and not isinstance(text, str):
        raise InvalidArgumentError(f"{key} is a string, not {text!r:.40}")
    return text


def time_of(time_ns: Any, key: str) -> int:  # noqa: ANN401
    """Nanoseconds since 1970 in UTC."""
    if type(time_ns) is not int or not NS_MIN <= time_ns <= NS_MAX:
        raise InvalidArgumentError(f"{key} is whole nanoseconds in 64 bits, not {time_ns!r:.40}")
    return time_ns
