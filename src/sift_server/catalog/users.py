"""Users: who owns the folder, and those whom somebody named.

There are no accounts here: keys say who may call, see `api_keys`. A user is a name that annotations
can be assigned to. The owner is there from the first time that anybody asks, with the name of the
system's user that serves the folder then; others are made when a rule in JSON names them.
"""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from sift_server.catalog import tables
from sift_server.catalog.chunks import chunks
from sift_server.catalog.fields import Field, Filterable, Kind
from sift_server.catalog.paging import Listing, ListRequest, Page
from sift_server.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection, Row

    from sift_server.catalog.context import Context

_columns = tables.users.c

USER_FIELDS = Filterable(
    "users",
    {
        "user_id": Field(Kind.TEXT, _columns.user_id),
        "name": Field(Kind.TEXT, _columns.name),
        "created_date": Field(Kind.TIME, _columns.created_ns),
    },
)
_listing = Listing(USER_FIELDS, "name", (_columns.sequence,))


@dataclass(frozen=True, slots=True)
class User:
    """A user.

    Attributes:
        name: Unique; an e-mail address, or the name of a user of the system.
        is_owner: Whether it is the owner of the folder, of whom there is one.
    """

    user_id: str
    name: str
    is_owner: bool


class Users:
    """The users of the catalog. Safe from many threads; what returned is on disk."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def owner(self) -> User:
        """Return the owner of the folder."""
        with self._context.database.read() as connection:
            row = _owner(connection)
        if row is None:
            with self._context.database.write() as connection:
                owner_id(connection, self._context)
                row = _owner(connection)
        return _user(row)

    def get(self, user_id: str) -> User:
        """Return a user.

        Raises:
            NotFoundError: There is none of that id.
        """
        self.owner()
        with self._context.database.read() as connection:
            row = connection.execute(
                select(tables.users).where(_columns.user_id == user_id)
            ).one_or_none()
        if row is None:
            raise NotFoundError(
                f"there is no user with the id {user_id!r}; list the users to find it"
            )
        return _user(row)

    def names(self, user_ids: Iterable[str]) -> dict[str, str]:
        """Return the names of those users that are known, by id."""
        wanted = sorted({one for one in user_ids if one})
        names: dict[str, str] = {}
        if wanted:
            with self._context.database.read() as connection:
                for ids in chunks(wanted):
                    rows = connection.execute(
                        select(_columns.user_id, _columns.name).where(_columns.user_id.in_(ids))
                    )
                    names.update((row.user_id, row.name) for row in rows)
        return names

    def list(self, request: ListRequest) -> Page[User]:
        """Return a page of the users; by name, if not asked otherwise.

        Raises:
            InvalidArgumentError: Filter, order or page token are wrong.
        """
        self.owner()
        with self._context.database.read() as connection:
            page = _listing.page(connection, select(tables.users), request, self._context.now_ns())
        return Page([_user(row) for row in page.items], page.next_token)


def owner_id(connection: Connection, context: Context) -> str:
    """Return the id of the owner, who is made if need be, within a transaction."""
    row = _owner(connection)
    if row is not None:
        return str(row.user_id)
    return _insert(connection, context, _system_name(), is_owner=True)


def find_or_create(
    connection: Connection, context: Context, names: Iterable[str]
) -> dict[str, str]:
    """Return the ids of users by name, who are made if need be, within a transaction."""
    user_ids: dict[str, str] = {}
    for name in dict.fromkeys(names):
        found = connection.execute(
            select(_columns.user_id).where(_columns.name == name)
        ).scalar_one_or_none()
        user_ids[name] = found or _insert(connection, context, name, is_owner=False)
    return user_ids


def _owner(connection: Connection) -> Row[Any] | None:
    return connection.execute(select(tables.users).where(_columns.is_owner)).one_or_none()


def _insert(connection: Connection, context: Context, name: str, *, is_owner: bool) -> str:
    user_id = context.new_id()
    connection.execute(
        insert(tables.users).values(
            user_id=user_id, name=name, is_owner=is_owner, created_ns=context.now_ns()
        )
    )
    return user_id


def _system_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # In a container, the system may know no name for the user.
        return "owner"


def _user(row: Any) -> User:  # noqa: ANN401 - a row of the table
    return User(row.user_id, row.name, row.is_owner)
