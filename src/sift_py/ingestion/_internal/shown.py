"""Values as messages show them: on one line, not too long, whatever they are."""

from __future__ import annotations

from reprlib import Repr

VALUE_CHARS_MAX = 80
"""How much of a value a message shows."""


class _SafeRepr(Repr):
    """A `repr` that never fails: what can't write itself is shown by its type."""

    def repr_int(self, x: int, level: int) -> str:  # noqa: ARG002  # signature of Repr
        """Show an integer; Python refuses to write those of more than 4300 digits."""
        try:
            return repr(x)
        except ValueError:
            return f"an integer of {x.bit_length()} bits"


_safe = _SafeRepr()


def shown_plain(value: object, chars_max: int = VALUE_CHARS_MAX) -> str:
    """Return the `repr` of a value, on one line and cut off; never fails."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  # what a value's own code raises
        text = _safe.repr(value)
    # Arrays are shown on several lines.
    text = text.replace("\n", " ")
    return text if len(text) <= chars_max else f"{text[:chars_max]}..."
