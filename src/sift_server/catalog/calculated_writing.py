"""New calculated channels and new versions of them, within a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from sift_server.catalog import tables, tags, users
from sift_server.catalog.attributes import Attributes, AttributeTables
from sift_server.catalog.calculated_content import check_form
from sift_server.catalog.calculated_documents import to_document
from sift_server.catalog.rule_writing import check_known
from sift_server.errors import AlreadyExistsError, ResourceExhaustedError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sift_server.catalog.calculated_content import CalculatedContent
    from sift_server.catalog.calculated_rows import CalculatedChannel
    from sift_server.catalog.context import Context

CALCULATED_CHANNELS_MAX = 10_000
"""How many calculated channels there may be that are not archived."""

_channels = tables.calculated_channels.c
_metadata = AttributeTables("a calculated channel", None, tables.calculated_channel_metadata)


def write(
    connection: Connection,
    context: Context,
    before: CalculatedChannel | None,
    content: CalculatedContent,
    notes: str,
    client_key: str | None = None,
    organization_id: str = "",
) -> str:
    """Write a new calculated channel, or a new version of one; returns its id.

    Args:
        connection: Where to write.
        context: What the catalog stands on.
        before: What it is now; None for a new one.
        content: What it is to be.
        notes: What to keep with the version.
        client_key: Of a new one: its key, or None.
        organization_id: Of a new one.

    Raises:
        NotFoundError: An asset or tag does not exist.
        AlreadyExistsError: Another one has the client key, or the name and is not archived.
        InvalidArgumentError: What `check_form` says.
        ResourceExhaustedError: There would be too many.
    """
    check_form(content)
    check_known(connection, tables.assets.c.asset_id, set(content.asset_ids), "asset")
    tags.check_known(connection, set(content.tag_ids))
    owner_id, now_ns = users.owner_id(connection, context), context.now_ns()
    version_id = context.new_id()
    values = {
        "name": content.name,
        "description": content.description,
        "units": content.units,
        "has_all_assets": content.has_all_assets,
        "current_version_id": version_id,
        "modified_by_user_id": owner_id,
        "modified_ns": now_ns,
    }
    try:
        if before is None:
            check_free(connection, content.name)
            channel_id = context.new_id()
            connection.execute(
                insert(tables.calculated_channels).values(
                    calculated_channel_id=channel_id,
                    client_key=client_key,
                    organization_id=organization_id,
                    created_by_user_id=owner_id,
                    created_ns=now_ns,
                    **values,
                )
            )
        else:
            channel_id = before.calculated_channel_id
            if before.archived_ns is None and content.name != before.content.name:
                check_free(connection, content.name)
            connection.execute(
                update(tables.calculated_channels)
                .where(_channels.calculated_channel_id == channel_id)
                .values(values)
            )
    except IntegrityError:
        raise AlreadyExistsError(
            f"a calculated channel with the client key {client_key!r} exists, which may be"
            " archived; update that one, or choose another client key"
        ) from None
    connection.execute(
        insert(tables.calculated_channel_versions).values(
            version_id=version_id,
            calculated_channel_id=channel_id,
            number=1 if before is None else before.number + 1,
            notes=notes,
            change_message=_change_message(before, content),
            content_json=to_document(content),
            created_by_user_id=owner_id,
            created_ns=now_ns,
        )
    )
    _metadata.write(connection, context, channel_id, Attributes(metadata=content.metadata))
    _write_scope(connection, channel_id, content)
    return channel_id


def check_free(connection: Connection, name: str) -> None:
    """Check that a calculated channel that is not archived may have a name.

    Raises:
        AlreadyExistsError: Another one has it.
        ResourceExhaustedError: There would be too many.
    """
    is_current = _channels.archived_ns.is_(None)
    other = connection.execute(
        select(_channels.calculated_channel_id).where(is_current, _channels.name == name)
    ).scalar_one_or_none()
    if other is not None:
        raise AlreadyExistsError(
            f"a calculated channel has the name {name!r}, with the id {other!r}; update or archive"
            " that one, or choose another name"
        )
    count = connection.execute(
        select(func.count()).select_from(tables.calculated_channels).where(is_current)
    ).scalar_one()
    if count >= CALCULATED_CHANNELS_MAX:
        raise ResourceExhaustedError(
            f"there are {count:,} calculated channels, the limit is {CALCULATED_CHANNELS_MAX:,}"
            " (CALCULATED_CHANNELS_MAX); archive those that nobody needs"
        )


def _write_scope(connection: Connection, channel_id: str, content: CalculatedContent) -> None:
    for table, column, ids in (
        (tables.calculated_channel_assets, "asset_id", content.asset_ids),
        (tables.calculated_channel_asset_tags, "tag_id", content.tag_ids),
    ):
        connection.execute(delete(table).where(table.c.calculated_channel_id == channel_id))
        rows = [{"calculated_channel_id": channel_id, column: one} for one in dict.fromkeys(ids)]
        if rows:
            connection.execute(insert(table), rows)


_FIELDS = {
    "name": "the name",
    "description": "the description",
    "units": "the units",
    "expression": "the expression",
    "references": "the references",
    "pins": "the calculated channels that are named",
    "metadata": "the metadata",
}
_SCOPE = ("has_all_assets", "asset_ids", "tag_ids")


def _change_message(before: CalculatedChannel | None, content: CalculatedContent) -> str:
    if before is None:
        return "Created"
    old = before.content
    changed = [
        said for field, said in _FIELDS.items() if getattr(old, field) != getattr(content, field)
    ]
    if any(getattr(old, field) != getattr(content, field) for field in _SCOPE):
        changed.append("the assets")
    return f"Changed {', '.join(changed)}"
