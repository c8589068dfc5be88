"""Shows where in a statement something is wrong."""

from __future__ import annotations

_SHOWN_CHARS = 76


def underlined(message: str, statement: str, place: int | None) -> str:
    """A message, and behind it the line of a statement with the place marked.

    Args:
        message: What is wrong.
        statement: The statement.
        place: How many characters come before it; None if that is not known.
    """
    if place is None or not 0 <= place <= len(statement):
        return message
    start = statement.rfind("\n", 0, place) + 1
    end = statement.find("\n", place)
    line = statement[start : end if end >= 0 else len(statement)].replace("\t", " ")
    column = place - start
    number = statement.count("\n", 0, place) + 1
    cut = max(0, min(column - _SHOWN_CHARS // 2, len(line) - _SHOWN_CHARS))
    shown = line[cut : cut + _SHOWN_CHARS]
    before = f"line {number}: " + ("..." if cut else "")
    behind = "..." if cut + _SHOWN_CHARS < len(line) else ""
    return f"{message}\n\n{before}{shown}{behind}\n{' ' * (len(before) + column - cut)}^"
