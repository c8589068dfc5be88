"""What the rooms of the server raise, named by what the caller can do about it.

```text
ServerError
├── InvalidArgumentError      the request itself is wrong; sending it again won't help
├── NotFoundError             what it names does not exist
├── AlreadyExistsError        what it would create exists
├── FailedPreconditionError   the request is right, but not in the present state of the server
├── ResourceExhaustedError    a named limit was exceeded
│   └── DiskFullError         the disk has no room; the server goes on by itself when it has
├── UnauthenticatedError      no key, or one that is wrong or ended
├── PermissionDeniedError     the key is right, and not for this
├── UnavailableError          the server can't go on with it; another time it can
└── UnimplementedError        this server does not do that
```

The doors turn each into the status of the same name. Nothing permanent is ever one of the codes
that clients retry (INTERNAL, UNKNOWN, UNAVAILABLE, ABORTED, DEADLINE_EXCEEDED).
"""

from __future__ import annotations

import errno

__all__ = [
    "AlreadyExistsError",
    "DiskFullError",
    "FailedPreconditionError",
    "InvalidArgumentError",
    "NotFoundError",
    "PermissionDeniedError",
    "ResourceExhaustedError",
    "ServerError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
    "is_disk_full",
]


class ServerError(Exception):
    """Base of all errors that a client is told about, word for word."""


class InvalidArgumentError(ServerError):
    """The request itself is wrong; sending it again won't help."""


class NotFoundError(ServerError):
    """What the request names does not exist."""


class AlreadyExistsError(ServerError):
    """What the request would create exists."""


class FailedPreconditionError(ServerError):
    """The request is right, but not in the present state of the server."""


class ResourceExhaustedError(ServerError):
    """A named limit was exceeded."""


class DiskFullError(ResourceExhaustedError):
    """The disk has no room. Nothing was taken; the server goes on by itself when there is room."""


def is_disk_full(error: BaseException) -> bool:
    """Whether an error says that a disk, or a user's part of it, is full."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return isinstance(error, DiskFullError)


class UnauthenticatedError(ServerError):
    """The call carries no API key, or one that is wrong, was revoked, or expired."""


class PermissionDeniedError(ServerError):
    """The call carries an API key that is not good for it."""


class UnavailableError(ServerError):
    """The server can't go on with it; another time it can."""


class UnimplementedError(ServerError):
    """This server does not do that."""
