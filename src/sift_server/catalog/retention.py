"""How long, and how many bytes of, the points of an asset are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from sift_server.catalog import tables
from sift_server.errors import InvalidArgumentError, NotFoundError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sift_server.catalog.context import Context

AGE_S_MIN = 3_600
"""Shortest age that points may be kept for."""

SIZE_BYTES_MIN = 16 * 1024 * 1024
"""Fewest bytes that points of an asset may take."""

_AGE_S_MAX = 250 * 365 * 86_400
_SIZE_BYTES_MAX = 2**60

_columns = tables.retention_policies.c


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """What is kept of an asset.

    Attributes:
        age_s: Seconds after which points are deleted, counted from their timestamps; None for
            never.
        size_bytes: Bytes of the table's files that the asset's points may take; None for any.
    """

    asset_id: str
    asset_name: str
    age_s: int | None
    size_bytes: int | None


class RetentionPolicies:
    """At most one policy for each asset. Safe from many threads; what returned is on disk."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def set(self, asset_id: str, age_s: int | None, size_bytes: int | None) -> RetentionPolicy:
        """Give an asset a policy, instead of the one that it may have.

        Raises:
            NotFoundError: There is no such asset.
            InvalidArgumentError: The policy limits nothing, or too much.
        """
        if age_s is None and size_bytes is None:
            raise InvalidArgumentError("a retention policy has an age, a size, or both")
        if age_s is not None and not AGE_S_MIN <= age_s <= _AGE_S_MAX:
            raise InvalidArgumentError(
                f"the age of a retention policy is {AGE_S_MIN} s to {_AGE_S_MAX} s, not {age_s}"
            )
        if size_bytes is not None and not SIZE_BYTES_MIN <= size_bytes <= _SIZE_BYTES_MAX:
            raise InvalidArgumentError(
                f"the size of a retention policy is {SIZE_BYTES_MIN} to {_SIZE_BYTES_MAX} bytes,"
                f" not {size_bytes}"
            )
        now_ns = self._context.now_ns()
        with self._context.database.write() as connection:
            name = _asset_name(connection, asset_id)
            connection.execute(
                delete(tables.retention_policies).where(_columns.asset_id == asset_id)
            )
            connection.execute(
                insert(tables.retention_policies).values(
                    asset_id=asset_id,
                    age_s=age_s,
                    size_bytes=size_bytes,
                    created_ns=now_ns,
                    modified_ns=now_ns,
                )
            )
        return RetentionPolicy(asset_id, name, age_s, size_bytes)

    def remove(self, asset_id: str) -> None:
        """Keep all of an asset again.

        Raises:
            NotFoundError: The asset has no policy.
        """
        with self._context.database.write() as connection:
            removed = connection.execute(
                delete(tables.retention_policies).where(_columns.asset_id == asset_id)
            )
            if not removed.rowcount:
                raise NotFoundError(
                    f"the asset of the id {asset_id!r} has no retention policy; list them to see"
                    " which have one"
                )

    def all(self) -> list[RetentionPolicy]:
        """All policies, by the names of assets."""
        with self._context.database.read() as connection:
            rows = connection.execute(
                select(_columns.asset_id, tables.assets.c.name, _columns.age_s, _columns.size_bytes)
                .join(tables.assets)
                .order_by(tables.assets.c.name)
            )
            return [RetentionPolicy(*row) for row in rows]


def _asset_name(connection: Connection, asset_id: str) -> str:
    name = connection.execute(
        select(tables.assets.c.name).where(tables.assets.c.asset_id == asset_id)
    ).scalar()
    if name is None:
        raise NotFoundError(
            f"there is no asset with the id {asset_id!r}; list the assets to find it"
        )
    return str(name)
