"""What people say of a channel, whatever its flows say of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sift_server.errors import InvalidArgumentError

if TYPE_CHECKING:
    from sift_server.catalog.attributes import MetadataValue

CHANNEL_NOTE_CHARS_MAX = 10_000
"""Characters of a description that somebody gives a channel, and of a unit."""


@dataclass(frozen=True, slots=True)
class ChannelNotes:
    """Notes on a channel.

    Attributes:
        description: To be shown instead of that of its flows; empty if there is none.
        unit: The same.
        metadata: Values by key, in the order in which they were given.
        archived_ns: When it was archived, in nanoseconds since 1970 in UTC, or None.
    """

    description: str = ""
    unit: str = ""
    metadata: tuple[tuple[str, MetadataValue], ...] = ()
    archived_ns: int | None = None


NO_NOTES = ChannelNotes()


def check_notes(notes: ChannelNotes) -> None:
    """Check what can be stored, but for the metadata.

    Raises:
        InvalidArgumentError: A text is too long.
    """
    for what, text in (("description", notes.description), ("unit", notes.unit)):
        if len(text) > CHANNEL_NOTE_CHARS_MAX:
            raise InvalidArgumentError(
                f"the {what} has {len(text):,} characters; the limit is"
                f" {CHANNEL_NOTE_CHARS_MAX:,} (CHANNEL_NOTE_CHARS_MAX)"
            )
