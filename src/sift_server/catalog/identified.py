"""What is known by an id, and by a client key if it has one."""

from __future__ import annotations

from sift_server.errors import InvalidArgumentError


def check_identified(what: str, known_id: str, client_key: str) -> None:
    """Check that one of both is there.

    Raises:
        InvalidArgumentError: Neither is; `what` says of what.
    """
    if not (known_id or client_key):
        raise InvalidArgumentError(
            f"the request does not say which {what}; give its id, or its client key"
        )
