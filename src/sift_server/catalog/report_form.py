"""What names and descriptions of reports and their templates have to be like."""

from __future__ import annotations

from sift_server.errors import InvalidArgumentError

REPORT_NAME_CHARS_MAX = 1_000
"""How long the name of a report or a report template may be."""

REPORT_DESCRIPTION_CHARS_MAX = 10_000
"""How long its description may be."""


def check_form(what: str, name: str, description: str) -> None:
    """Check what is said of a report or a template.

    Args:
        what: What messages call it: `a report`.
        name: Its name.
        description: Its description.

    Raises:
        InvalidArgumentError: It has no name, or is too long; says what.
    """
    if not name.strip():
        raise InvalidArgumentError(f"{what} needs a name that is not blank")
    for part, text, chars_max in (
        ("name", name, REPORT_NAME_CHARS_MAX),
        ("description", description, REPORT_DESCRIPTION_CHARS_MAX),
    ):
        if len(text) > chars_max:
            raise InvalidArgumentError(
                f"the {part} of {what} has {len(text):,} characters; the limit is {chars_max:,}"
            )
