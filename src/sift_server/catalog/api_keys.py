"""API keys: who may call the server, and what for.

Only the SHA-256 of a key is kept. That is enough, and a slow hash would add nothing: those protect
passwords, which can be guessed; a key is 256 random bits, so whoever has the hash alone would have
to try them all.
"""

from __future__ import annotations

import enum
import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, or_, select, update

from sift_server.catalog import tables
from sift_server.errors import (
    AlreadyExistsError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
)

if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from sqlalchemy import Connection, Row

    from sift_server.catalog.context import Context

API_KEYS_MAX = 1_000
"""How many keys there may be. Those that ended make room, the one that ended first at first."""

API_KEY_NAME_CHARS_MAX = 200
"""Longest name of a key."""

_PREFIX = "sift"
_ID_BYTES = 6
_SECRET_BYTES = 32

_columns = tables.api_keys.c


class Scope(enum.Enum):
    """What a key is good for. Neither of `READ` and `WRITE` has the other in it."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"
    """Everything."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key; the key itself is not.

    Attributes:
        key_id: Its id, which is a part of the key and no secret.
        name: What people call it.
        scopes: What it is good for.
        digest: SHA-256 of the key.
        created_ns: When it was made; this and the other times in nanoseconds since 1970 in UTC.
        expires_ns: When it ends by itself, or None.
        revoked_ns: When it was revoked, or None.
    """

    key_id: str
    name: str
    scopes: frozenset[Scope]
    digest: bytes
    created_ns: int
    expires_ns: int | None
    revoked_ns: int | None

    def end(self, now_ns: int) -> str:
        """Why it is good for nothing any more, behind `the API key`; empty while it is."""
        if self.revoked_ns is not None:
            return "was revoked"
        if self.expires_ns is not None and now_ns >= self.expires_ns:
            return "expired"
        return ""


def digest_of(key: bytes) -> bytes:
    """What is kept of a key."""
    return hashlib.sha256(key).digest()


def id_in(key: str) -> str:
    """The id that a key says it has; empty if it is not of the form of ours."""
    prefix, _, rest = key.partition("_")
    return rest.partition("_")[0] if prefix == _PREFIX else ""


class ApiKeys:
    """The API keys of the catalog.

    Safe from many threads and processes; what returned is on disk.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def create(
        self, name: str, scopes: Collection[Scope], expires_ns: int | None = None
    ) -> tuple[ApiKey, str]:
        """Make a key; return what is known of it, and the key, which nobody can be told again.

        Raises:
            InvalidArgumentError: The name is empty, too long or not printable, there is no scope,
                or it expires in the past.
            AlreadyExistsError: A key that is good has this name.
            ResourceExhaustedError: There are `API_KEYS_MAX` that are good.
        """
        now_ns = self._context.now_ns()
        _check(name, scopes, expires_ns, now_ns)
        key_id = secrets.token_hex(_ID_BYTES)
        key = f"{_PREFIX}_{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
        made = ApiKey(
            key_id, name, frozenset(scopes), digest_of(key.encode()), now_ns, expires_ns, None
        )
        with self._context.database.write() as connection:
            if any(one.name == name and not one.end(now_ns) for one in _all(connection)):
                raise AlreadyExistsError(
                    f"there is an API key with the name {name!r}; use another name, or revoke it"
                )
            change = _next_change(connection, now_ns)
            _make_room(connection, now_ns)
            connection.execute(
                insert(tables.api_keys).values(
                    key_id=key_id,
                    name=name,
                    scopes=" ".join(sorted(scope.value for scope in scopes)),
                    digest=made.digest,
                    created_ns=now_ns,
                    expires_ns=expires_ns,
                    changed_ns=change,
                )
            )
        return made, key

    def revoke(self, key_id_or_name: str) -> ApiKey:
        """End a key, named by its id or the name that it has while it is good.

        A key that ended stays as it is.

        Raises:
            NotFoundError: There is none.
        """
        now_ns = self._context.now_ns()
        with self._context.database.write() as connection:
            keys = _all(connection)
            found = [one for one in keys if one.key_id == key_id_or_name] or [
                one for one in keys if one.name == key_id_or_name and not one.end(now_ns)
            ]
            if not found:
                raise NotFoundError(
                    f"there is no API key with the id or name {key_id_or_name!r} that is good"
                )
            (key,) = found
            if key.revoked_ns is None:
                connection.execute(
                    update(tables.api_keys)
                    .where(_columns.key_id == key.key_id)
                    .values(revoked_ns=now_ns, changed_ns=_next_change(connection, now_ns))
                )
            (revoked,) = (one for one in _all(connection) if one.key_id == key.key_id)
        return revoked

    def all(self) -> list[ApiKey]:
        """Return all keys, those that ended too, in the order in which they were made."""
        with self._context.database.read() as connection:
            return _all(connection)

    def change(self) -> int:
        """Return a number that grows with every change to the keys, whichever process made it."""
        with self._context.database.read() as connection:
            return _last_change(connection)


def _check(name: str, scopes: Collection[Scope], expires_ns: int | None, now_ns: int) -> None:
    if not name.strip() or len(name) > API_KEY_NAME_CHARS_MAX or not name.isprintable():
        raise InvalidArgumentError(
            f"an API key needs a name of 1 to {API_KEY_NAME_CHARS_MAX} printable characters"
        )
    if not scopes:
        raise InvalidArgumentError("an API key needs a scope: read, write or admin")
    if expires_ns is not None and expires_ns <= now_ns:
        raise InvalidArgumentError("an API key has to expire in the future")


def _all(connection: Connection) -> list[ApiKey]:
    rows = connection.execute(select(tables.api_keys).order_by(_columns.sequence))
    return [_key(row) for row in rows]


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        row.key_id,
        row.name,
        frozenset(map(Scope, row.scopes.split())),
        bytes(row.digest),
        row.created_ns,
        row.expires_ns,
        row.revoked_ns,
    )


def _last_change(connection: Connection) -> int:
    query = select(func.coalesce(func.max(_columns.changed_ns), 0))
    return int(connection.execute(query).scalar_one())


def _next_change(connection: Connection, now_ns: int) -> int:
    # Of two changes at one time, or after the clock was set back, the second has a number too.
    return max(now_ns, _last_change(connection) + 1)


def _make_room(connection: Connection, now_ns: int) -> None:
    count = connection.execute(select(func.count()).select_from(tables.api_keys)).scalar_one()
    if count < API_KEYS_MAX:
        return
    ended_ns = func.coalesce(_columns.revoked_ns, _columns.expires_ns)
    oldest = connection.execute(
        select(_columns.key_id)
        .where(or_(_columns.revoked_ns.is_not(None), _columns.expires_ns <= now_ns))
        .order_by(ended_ns)
        .limit(1)
    ).scalar_one_or_none()
    if oldest is None:
        raise ResourceExhaustedError(
            f"there are {API_KEYS_MAX:,} API keys, which is the limit; revoke those that nobody"
            " needs"
        )
    connection.execute(delete(tables.api_keys).where(_columns.key_id == oldest))
