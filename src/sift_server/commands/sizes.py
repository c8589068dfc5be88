"""Sizes as people write them."""

from __future__ import annotations

import re

_STEPS = {"b": 0, "kib": 1, "mib": 2, "gib": 3, "tib": 4}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s*(B|KiB|MiB|GiB|TiB)", re.IGNORECASE)


def bytes_of(text: str) -> int | None:
    """Bytes of a size such as `20GiB`; None if it is none."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        return None
    return int(float(match[1]) * 1_024 ** _STEPS[match[2].lower()])
