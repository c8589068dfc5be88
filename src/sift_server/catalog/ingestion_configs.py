"""Ingestion configs: the flows of an asset, under a client key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from sift_server.catalog import assets, channels, tables
from sift_server.catalog.chunks import chunks
from sift_server.catalog.fields import Field, Filterable, Kind
from sift_server.catalog.flows import (
    ConfiguredFlow,
    FlowConfig,
    check_flows,
    difference,
    from_document,
    layout_of,
    to_document,
)
from sift_server.catalog.paging import Listing, ListRequest, Page, PageBytes
from sift_server.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row

    from sift_server.catalog.context import Context

FLOWS_PAGE_BYTES_MAX = 2 * 1024 * 1024
"""Bytes of flows in a page, unless a single one is larger.

gRPC clients refuse answers of more than 4 MiB if they are not told otherwise.
"""

_FLOWS_NAMED_MAX = 5
_configs = tables.ingestion_configs.c
_flows = tables.flows.c

INGESTION_CONFIG_FIELDS = Filterable(
    "ingestion configs",
    {
        "ingestion_config_id": Field(Kind.TEXT, _configs.ingestion_config_id),
        "client_key": Field(Kind.TEXT, _configs.client_key, is_nullable=True),
        "asset_id": Field(Kind.TEXT, _configs.asset_id),
        "created_date": Field(Kind.TIME, _configs.created_ns),
        "modified_date": Field(Kind.TIME, _configs.modified_ns),
    },
)
FLOW_FIELDS = Filterable(
    "flows",
    {
        "flow_id": Field(Kind.TEXT, _flows.flow_id),
        "flow_name": Field(Kind.TEXT, _flows.name),
        "created_date": Field(Kind.TIME, _flows.created_ns),
        "modified_date": Field(Kind.TIME, _flows.created_ns),
    },
)
_config_listing = Listing(INGESTION_CONFIG_FIELDS, "created_date desc", (_configs.sequence,))
_flow_listing = Listing(FLOW_FIELDS, "created_date", (_flows.sequence,))


@dataclass(frozen=True, slots=True)
class IngestionConfig:
    """An ingestion config.

    Attributes:
        client_key: Unique among ingestion configs; empty if the client gave none.
    """

    ingestion_config_id: str
    asset_id: str
    client_key: str


class IngestionConfigs:
    """The ingestion configs of the catalog. Safe from many threads; what returned is on disk."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def create(
        self,
        asset_name: str,
        client_key: str,
        flows: Sequence[FlowConfig],
        organization_id: str = "",
    ) -> IngestionConfig:
        """Create an ingestion config, with its asset and channels as far as they are new.

        Raises:
            AlreadyExistsError: Another ingestion config has the client key.
            InvalidArgumentError: A name is blank or there twice.
        """
        if not asset_name.strip():
            raise InvalidArgumentError(
                f"the ingestion config with the client key {client_key!r} names no asset; give it"
                " an asset_name"
            )
        check_flows(flows)
        context, now_ns = self._context, self._context.now_ns()
        config_id = context.new_id()
        with context.database.write() as connection:
            asset_id = assets.find_or_create(connection, context, asset_name, organization_id)
            try:
                connection.execute(
                    insert(tables.ingestion_configs).values(
                        ingestion_config_id=config_id,
                        asset_id=asset_id,
                        client_key=client_key or None,
                        created_ns=now_ns,
                        modified_ns=now_ns,
                    )
                )
            except IntegrityError:
                raise AlreadyExistsError(
                    f"an ingestion config with the client key {client_key!r} exists; list it by"
                    " that key and use it, or choose another key"
                ) from None
            self._insert_flows(connection, config_id, asset_id, flows)
        return IngestionConfig(config_id, asset_id, client_key)

    def get(self, ingestion_config_id: str) -> IngestionConfig:
        """Return an ingestion config.

        Raises:
            NotFoundError: There is none of that id.
        """
        with self._context.database.read() as connection:
            return _get(connection, ingestion_config_id)

    def of_key(self, client_key: str) -> IngestionConfig | None:
        """Return the ingestion config that has a client key, or None."""
        with self._context.database.read() as connection:
            row = connection.execute(
                select(tables.ingestion_configs).where(_configs.client_key == client_key)
            ).one_or_none()
        return None if row is None else _config(row)

    def list(self, request: ListRequest) -> Page[IngestionConfig]:
        """Return a page of the ingestion configs; the newest first.

        Raises:
            InvalidArgumentError: Filter or page token are wrong.
        """
        with self._context.database.read() as connection:
            page = _config_listing.page(
                connection, select(tables.ingestion_configs), request, self._context.now_ns()
            )
        return Page([_config(row) for row in page.items], page.next_token)

    def create_flows(self, ingestion_config_id: str, flows: Sequence[FlowConfig]) -> None:
        """Add flows to an ingestion config: all of them, or none.

        Raises:
            NotFoundError: There is no such ingestion config.
            FailedPreconditionError: A flow of that name exists and is another; says how.
            AlreadyExistsError: The same flow exists.
            InvalidArgumentError: A name is blank or there twice.
        """
        check_flows(flows)
        with self._context.database.write() as connection:
            config = _get(connection, ingestion_config_id)
            _check_new(connection, config, flows)
            self._insert_flows(connection, ingestion_config_id, config.asset_id, flows)

    def list_flows(self, ingestion_config_id: str, request: ListRequest) -> Page[FlowConfig]:
        """Return a page of the flows of an ingestion config, in the order of their creation.

        Raises:
            NotFoundError: There is no such ingestion config.
            InvalidArgumentError: Filter or page token are wrong.
        """
        room = PageBytes(FLOWS_PAGE_BYTES_MAX, _flows.channels_json.name)
        with self._context.database.read() as connection:
            _get(connection, ingestion_config_id)
            page = _flow_listing.page(
                connection,
                select(_flows.name, _flows.channels_json).where(
                    _flows.ingestion_config_id == ingestion_config_id
                ),
                request,
                self._context.now_ns(),
                scope=ingestion_config_id,
                room=room.takes,
            )
        flows = [from_document(row.name, row.channels_json) for row in page.items]
        return Page(flows, page.next_token)

    def count_flows(self, ingestion_config_id: str) -> int:
        """Return how many flows an ingestion config has."""
        with self._context.database.read() as connection:
            return _count_flows(connection, ingestion_config_id)

    def flow(self, ingestion_config_id: str, flow_name: str) -> ConfiguredFlow:
        """Return what ingestion needs to know of a flow. Flows never change.

        Raises:
            NotFoundError: There is no such ingestion config, or it has no such flow; says which.
        """
        with self._context.database.read() as connection:
            row = connection.execute(
                select(
                    tables.assets.c.asset_id,
                    tables.assets.c.name.label("asset_name"),
                    _flows.channels_json,
                )
                .select_from(tables.flows.join(tables.ingestion_configs).join(tables.assets))
                .where(_flows.ingestion_config_id == ingestion_config_id)
                .where(_flows.name == flow_name)
            ).one_or_none()
            if row is None:
                _get(connection, ingestion_config_id)
                raise _no_flow(connection, ingestion_config_id, flow_name)
        layout, channel_ids = layout_of(flow_name, row.channels_json)
        return ConfiguredFlow(
            asset_id=row.asset_id,
            asset_name=row.asset_name,
            ingestion_config_id=ingestion_config_id,
            layout=layout,
            channel_ids=channel_ids,
        )

    def _insert_flows(
        self,
        connection: Connection,
        ingestion_config_id: str,
        asset_id: str,
        flows: Sequence[FlowConfig],
    ) -> None:
        context, now_ns = self._context, self._context.now_ns()
        channel_ids = channels.find_or_create(
            connection,
            context,
            asset_id,
            (channel for flow in flows for channel in flow.channels),
        )
        if flows:
            connection.execute(
                insert(tables.flows),
                [
                    {
                        "flow_id": context.new_id(),
                        "ingestion_config_id": ingestion_config_id,
                        "name": flow.name,
                        "channels_json": to_document(flow, channel_ids),
                        "created_ns": now_ns,
                    }
                    for flow in flows
                ],
            )


def _check_new(
    connection: Connection, config: IngestionConfig, flows: Sequence[FlowConfig]
) -> None:
    """Raise if a flow exists: that it is another one, first of all."""
    wanted = {flow.name: flow for flow in flows}
    names = list(wanted)
    same = None
    for some in chunks(names):
        for row in connection.execute(
            select(_flows.name, _flows.channels_json)
            .where(_flows.ingestion_config_id == config.ingestion_config_id)
            .where(_flows.name.in_(some))
        ):
            existing = from_document(row.name, row.channels_json)
            differs = difference(existing, wanted[row.name])
            if differs is not None:
                raise FailedPreconditionError(
                    f"the ingestion config with the client key {config.client_key!r} has another"
                    f" flow {row.name!r}: {differs}. A flow never changes; give this one a new"
                    " name, or use a new client key"
                )
            same = same or row.name
    if same is not None:
        raise AlreadyExistsError(
            f"the ingestion config with the client key {config.client_key!r} has the same flow"
            f" {same!r} already; nothing was created"
        )


def _no_flow(connection: Connection, ingestion_config_id: str, flow_name: str) -> NotFoundError:
    of_config = _flows.ingestion_config_id == ingestion_config_id
    count = _count_flows(connection, ingestion_config_id)
    names = connection.execute(
        select(_flows.name).where(of_config).order_by(_flows.sequence).limit(_FLOWS_NAMED_MAX)
    ).scalars()
    listed = ", ".join(repr(name) for name in names)
    has = "no flow yet"
    if count:
        has = f"{count:,} flows, among them {listed}" if count > _FLOWS_NAMED_MAX else listed
    return NotFoundError(
        f"the ingestion config {ingestion_config_id!r} has no flow {flow_name!r}; it has {has}."
        " Create the flow before sending its data"
    )


def _count_flows(connection: Connection, ingestion_config_id: str) -> int:
    of_config = _flows.ingestion_config_id == ingestion_config_id
    return connection.execute(select(func.count()).where(of_config)).scalar_one()


def _get(connection: Connection, ingestion_config_id: str) -> IngestionConfig:
    row = connection.execute(
        select(tables.ingestion_configs).where(_configs.ingestion_config_id == ingestion_config_id)
    ).one_or_none()
    if row is None:
        raise NotFoundError(
            f"there is no ingestion config with the id {ingestion_config_id!r}; create it, or list"
            " the ingestion configs to find it"
        )
    return _config(row)


def _config(row: Row[Any]) -> IngestionConfig:
    return IngestionConfig(row.ingestion_config_id, row.asset_id, row.client_key or "")
