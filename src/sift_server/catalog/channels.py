"""Channels: one time series each, of an asset.

A channel is known by asset, fully qualified name and data type. The first ingestion config that
names it creates it, before there is any data; whatever names it later describes it anew: unit,
description, enum types and bit fields are those of the flow that was created last. What people say
of it beside that are notes, which flows leave alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, case, insert, select, update

from sift_server.catalog import tables
from sift_server.catalog.attributes import Attributes, AttributeTables
from sift_server.catalog.channel_notes import NO_NOTES, ChannelNotes, check_notes
from sift_server.catalog.chunks import chunks
from sift_server.catalog.fields import Field, Filterable, Kind, MetadataField, without_users
from sift_server.catalog.paging import Listing, ListRequest, Page
from sift_server.errors import NotFoundError
from sift_wire.columns import DataType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sqlalchemy import ColumnElement, Connection, Row

    from sift_server.catalog.context import Context

CHANNELS_PAGE_SIZE_MAX = 10_000

_columns = tables.channels.c
_attributes = AttributeTables("a channel", None, tables.channel_metadata)

_NO_RUNS = (
    "the catalog does not say which channels have data of a run; filter by asset_id or name"
    " instead, and name the run when you ask for data"
)
_missing = {
    **dict.fromkeys(("run_id", "run_name", "run_client_key"), _NO_RUNS),
    **without_users("channels"),
}


def _shown(noted: ColumnElement[str], configured: ColumnElement[str]) -> ColumnElement[str]:
    """What clients show: what somebody noted, or else what the config says."""
    return case((noted != "", noted), else_=configured)


CHANNEL_FIELDS = Filterable(
    "channels",
    {
        "channel_id": Field(Kind.TEXT, _columns.channel_id),
        "asset_id": Field(Kind.TEXT, _columns.asset_id),
        "name": Field(Kind.TEXT, _columns.name),
        "description": Field(Kind.TEXT, _shown(_columns.display_description, _columns.description)),
        "created_date": Field(Kind.TIME, _columns.created_ns),
        "modified_date": Field(Kind.TIME, _columns.modified_ns),
        "display_description": Field(Kind.TEXT, _columns.display_description),
        "unit_id": Field(Kind.TEXT, _columns.unit),
        "display_unit_id": Field(Kind.TEXT, _columns.display_unit),
        "active": Field(Kind.BOOL, _columns.archived_ns.is_(None)),
        "is_archived": Field(Kind.BOOL, _columns.archived_ns.is_not(None)),
        "archived_date": Field(Kind.TIME, _columns.archived_ns, is_nullable=True),
        "metadata": MetadataField(tables.channel_metadata, _columns.channel_id),
    },
    _missing,
)
COMPONENT_CHANNEL_FIELDS = Filterable(
    "channels",
    {
        **CHANNEL_FIELDS.fields,
        "name": Field(Kind.TEXT, _columns.local_name),
        "component": Field(Kind.TEXT, _columns.component),
    },
    _missing,
)
"""What a client sees that knows components: `name` is the name without the component."""


@dataclass(frozen=True, slots=True)
class EnumType:
    """The name of one value of an enum channel."""

    name: str
    key: int
    is_signed: bool = False


@dataclass(frozen=True, slots=True)
class BitFieldElement:
    """Some neighbouring bits of a bit field channel."""

    name: str
    index: int
    bit_count: int


@dataclass(frozen=True, slots=True)
class ChannelConfig:
    """What a client says of a channel.

    Attributes:
        name: Name within the component, or within the asset if there is none.
        component: What the channel belongs to, or an empty string.
    """

    name: str
    data_type: DataType
    component: str = ""
    unit: str = ""
    description: str = ""
    enum_types: tuple[EnumType, ...] = ()
    bit_field_elements: tuple[BitFieldElement, ...] = ()

    @property
    def fqn(self) -> str:
        """The fully qualified name."""
        return f"{self.component}.{self.name}" if self.component else self.name


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel, as it is stored. Times are nanoseconds since 1970 in UTC."""

    channel_id: str
    asset_id: str
    config: ChannelConfig
    created_ns: int
    modified_ns: int
    notes: ChannelNotes = NO_NOTES


class Channels:
    """The channels of the catalog. Safe from many threads."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def get(self, channel_id: str) -> Channel:
        """Return a channel.

        Raises:
            NotFoundError: There is none of that id.
        """
        with self._context.database.read() as connection:
            return _get(connection, channel_id)

    def update(self, channel_id: str, change: Callable[[ChannelNotes], ChannelNotes]) -> Channel:
        """Replace the notes on a channel by what `change` makes of them.

        Raises:
            NotFoundError: There is no channel of that id.
            InvalidArgumentError: The notes can't be stored.
        """
        with self._context.database.write() as connection:
            before = _get(connection, channel_id).notes
            notes = change(before)
            if notes != before:
                check_notes(notes)
                _write_notes(connection, self._context, channel_id, notes)
                if notes.archived_ns != before.archived_ns:
                    self._context.rule_changes.count(connection)
            return _get(connection, channel_id)

    def archive(self, channel_ids: Iterable[str], *, is_archived: bool) -> None:
        """Archive channels, or take them back: all of them or none.

        One that is archived stays so since when it is.

        Raises:
            NotFoundError: There is no channel of one of the ids; says of which.
        """
        now_ns = self._context.now_ns()
        with self._context.database.write() as connection:
            for channel_id in dict.fromkeys(channel_ids):
                before = _get(connection, channel_id).notes
                if (before.archived_ns is not None) != is_archived:
                    archived_ns = now_ns if is_archived else None
                    notes = replace(before, archived_ns=archived_ns)
                    _write_notes(connection, self._context, channel_id, notes)
            self._context.rule_changes.count(connection)

    def with_ids(self, channel_ids: Iterable[str]) -> dict[str, Channel]:
        """Return channels by id, as far as there are such. Notes are not read."""
        found = {}
        with self._context.database.read() as connection:
            for some in chunks(sorted(set(channel_ids))):
                for row in connection.execute(
                    select(tables.channels).where(_columns.channel_id.in_(some))
                ):
                    found[row.channel_id] = _channel(row, NO_NOTES)
        return found

    def of_asset(self, asset_id: str) -> Sequence[Channel]:
        """Return all channels of an asset, in the order of their creation. Notes are not read."""
        with self._context.database.read() as connection:
            rows = connection.execute(
                select(tables.channels)
                .where(_columns.asset_id == asset_id)
                .order_by(_columns.sequence)
            )
            return [_channel(row, NO_NOTES) for row in rows]

    def named(self, asset_id: str, names: Iterable[str]) -> dict[str, Channel]:
        """Return the channels of an asset by fully qualified name, as far as there are such.

        Of several channels of one name, which differ in type, it is the one described last of
        those that are not archived, or of all, if all are. Notes are not read.
        """
        with self._context.database.read() as connection:
            rows = sorted(
                _rows_named(connection, asset_id, sorted(set(names))),
                key=lambda row: (row.archived_ns is None, row.modified_ns, row.sequence),
            )
        return {row.name: _channel(row, NO_NOTES) for row in rows}

    def list(self, request: ListRequest, fields: Filterable = CHANNEL_FIELDS) -> Page[Channel]:
        """Return a page of the channels; in the order of their creation, if not asked otherwise.

        Args:
            request: What is asked for.
            fields: What the client knows as fields.

        Raises:
            InvalidArgumentError: Filter, order or page token are wrong.
        """
        listing = Listing(fields, "created_date", (_columns.sequence,), CHANNELS_PAGE_SIZE_MAX)
        with self._context.database.read() as connection:
            page = listing.page(
                connection, select(tables.channels), request, self._context.now_ns()
            )
            return Page(_channels(connection, page.items), page.next_token)


def _get(connection: Connection, channel_id: str) -> Channel:
    rows = connection.execute(
        select(tables.channels).where(_columns.channel_id == channel_id)
    ).all()
    if not rows:
        raise NotFoundError(
            f"there is no channel with the id {channel_id!r}; list the channels of the asset to"
            " find it"
        )
    (channel,) = _channels(connection, rows)
    return channel


def _channels(connection: Connection, rows: Sequence[Row[Any]]) -> list[Channel]:
    """The channels of rows, with their notes."""
    of_all: dict[str, Attributes] = {}
    for some in chunks([row.channel_id for row in rows]):
        of_all.update(_attributes.read(connection, some))
    return [
        _channel(
            row,
            ChannelNotes(
                row.display_description,
                row.display_unit,
                of_all[row.channel_id].metadata,
                row.archived_ns,
            ),
        )
        for row in rows
    ]


def _write_notes(
    connection: Connection, context: Context, channel_id: str, notes: ChannelNotes
) -> None:
    connection.execute(
        update(tables.channels)
        .where(_columns.channel_id == channel_id)
        .values(
            display_description=notes.description,
            display_unit=notes.unit,
            archived_ns=notes.archived_ns,
            modified_ns=context.now_ns(),
        )
    )
    _attributes.write(connection, context, channel_id, Attributes(metadata=notes.metadata))


def find_or_create(
    connection: Connection, context: Context, asset_id: str, configs: Iterable[ChannelConfig]
) -> dict[tuple[str, DataType], str]:
    """Return the ids of channels by fully qualified name and type, within a transaction.

    Channels that are missing are created, those that are described differently are updated; rules
    may mean something else then, so either is counted as a change.
    """
    wanted = {(config.fqn, config.data_type): config for config in configs}
    now_ns = context.now_ns()
    channel_ids: dict[tuple[str, DataType], str] = {}
    changed = []
    for row in _rows_named(connection, asset_id, sorted({name for name, _ in wanted})):
        key = (row.name, DataType(row.data_type))
        config = wanted.pop(key, None)
        if config is None:
            continue
        channel_ids[key] = row.channel_id
        described = _description(config)
        if any(getattr(row, column) != value for column, value in described.items()):
            changed.append({"known_id": row.channel_id, "modified_ns": now_ns, **described})
    if changed:
        connection.execute(
            update(tables.channels).where(_columns.channel_id == bindparam("known_id")), changed
        )
    if wanted:
        created_ids = {key: context.new_id() for key in wanted}
        created = [
            {
                "channel_id": created_ids[key],
                "asset_id": asset_id,
                "name": config.fqn,
                "component": config.component,
                "local_name": config.name,
                "data_type": int(config.data_type),
                "created_ns": now_ns,
                "modified_ns": now_ns,
                **_description(config),
            }
            for key, config in wanted.items()
        ]
        connection.execute(insert(tables.channels), created)
        channel_ids.update(created_ids)
    if changed or wanted:
        context.rule_changes.count(connection)
    return channel_ids


def _rows_named(connection: Connection, asset_id: str, names: Sequence[str]) -> Iterator[Row[Any]]:
    for some in chunks(names):
        yield from connection.execute(
            select(tables.channels)
            .where(_columns.asset_id == asset_id)
            .where(_columns.name.in_(some))
        )


def _description(config: ChannelConfig) -> dict[str, str]:
    return {
        "unit": config.unit,
        "description": config.description,
        "enum_types_json": json.dumps(enums_document(config.enum_types)),
        "bit_field_elements_json": json.dumps(bits_document(config.bit_field_elements)),
    }


def _channel(row: Row[Any], notes: ChannelNotes) -> Channel:
    config = ChannelConfig(
        name=row.local_name,
        data_type=DataType(row.data_type),
        component=row.component,
        unit=row.unit,
        description=row.description,
        enum_types=enums_of(json.loads(row.enum_types_json)),
        bit_field_elements=bits_of(json.loads(row.bit_field_elements_json)),
    )
    return Channel(row.channel_id, row.asset_id, config, row.created_ns, row.modified_ns, notes)


def enums_document(enum_types: Iterable[EnumType]) -> list[Any]:
    """Enum types as they stand in a JSON document."""
    return [[one.name, one.key, one.is_signed] for one in enum_types]


def enums_of(document: list[Any]) -> tuple[EnumType, ...]:
    """Read what `enums_document` made."""
    return tuple(EnumType(*one) for one in document)


def bits_document(elements: Iterable[BitFieldElement]) -> list[Any]:
    """Bit field elements as they stand in a JSON document."""
    return [[one.name, one.index, one.bit_count] for one in elements]


def bits_of(document: list[Any]) -> tuple[BitFieldElement, ...]:
    """Read what `bits_document` made."""
    return tuple(BitFieldElement(*one) for one in document)
