"""What the control calls have in common."""

from __future__ import annotations

CONTROL_CALL_TIMEOUT_S = 60
"""How long a call to the control plane may take; ingest streams have no such limit."""


def equals_filter(field: str, value: str) -> str:
    """Return the list filter `field=="value"`, with what must be escaped in it escaped.

    Without blanks: servers see it exactly as the published client writes it.
    """
    escaped = (
        value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    )
    return f'{field}=="{escaped}"'
