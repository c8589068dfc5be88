"""Rows without a schema: finds what their channels are, or makes them, and ingests as streams do.

All rows are checked before anything is made or taken. What is missing is made then: the asset, one
ingestion config for all that the asset gets in this way, and a flow for each set of channels that
rows have. A set that comes when there are `CHANNEL_SETS_MAX` already gets none: its values go by
flows of one channel each, so that there are never more flows than these and the channels.
"""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING

from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataStreamRequest
from sift_server.catalog import ChannelConfig, FlowConfig
from sift_server.errors import InvalidArgumentError, NotFoundError
from sift_server.ingest.json_rows import shown
from sift_server.ingest.json_values import MisfitError, channel_value, data_type_of
from sift_wire.frames import Frames

if TYPE_CHECKING:
    from concurrent.futures import Future

    from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataChannelValue
    from sift_server.catalog import Catalog, ConfiguredFlow
    from sift_server.ingest.ingestor import Ingestor
    from sift_server.ingest.json_rows import JsonBatch, JsonRow

CHANNEL_SETS_MAX = 1_000
"""Sets of channels of an asset that have a flow of their own."""

_CLIENT_KEY_PREFIX = "schemaless:"

_NS_PER_S = 1_000_000_000

_Values = dict[str, "IngestWithConfigDataChannelValue"]


class SchemalessIngest:
    """Ingests batches of rows whose channels may be new. Safe from many threads."""

    def __init__(self, catalog: Catalog, ingestor: Ingestor) -> None:
        self._catalog = catalog
        self._ingestor = ingestor
        self._making = threading.Lock()
        """So that two batches do not make a channel of one name and two types."""

    def take(self, batch: JsonBatch) -> list[Future[int]]:
        """Take all rows, or none.

        Returns:
            What is done when the rows are on disk and readable.

        Raises:
            InvalidArgumentError: A value is none of its channel; says in which row.
            NotFoundError: There is no such run.
            DiskFullError: The server is full, and the disk too.
            LogFailedError: The log can't take any more. As before, rows may have been taken: it
                changes nothing if they are sent again.
        """
        if batch.run_id:
            self._catalog.runs.get(batch.run_id)
        messages = self._messages(batch)
        if not messages:
            return []
        durable = []
        rest: Frames | None = Frames.from_messages(messages)
        while rest is not None:
            taken = self._ingestor.take(rest)
            if taken.durable is not None:
                durable.append(taken.durable)
            rest = taken.rest
        return durable

    def _messages(self, batch: JsonBatch) -> list[bytes]:
        """The rows as a stream has them, once all are checked."""
        with self._making:
            channels = self._channels(batch)
            rows = [_checked(row, channels, number) for number, row in enumerate(batch.rows, 1)]
            if not rows:
                return []
            flows = _Flows(self._catalog, self._config_id(batch), channels)
            of_rows = [flows.of(values) for values in rows]
        return [
            _message(batch, flow, row.timestamp_ns, values)
            for row, values, of_row in zip(batch.rows, rows, of_rows, strict=True)
            for flow in of_row
        ]

    def _channels(self, batch: JsonBatch) -> dict[str, ChannelConfig]:
        """The channels of all rows: those that there are, and what the others will be."""
        names = {name for row in batch.rows for name in row.values}
        asset_id = self._asset_id(batch.asset_name)
        channels = {}
        if asset_id is not None:
            found = self._catalog.channels.named(asset_id, names)
            channels = {name: channel.config for name, channel in found.items()}
        for row in batch.rows:
            for name, value in row.values.items():
                if name not in channels:
                    channels[name] = ChannelConfig(name, data_type_of(value))
        return channels

    def _asset_id(self, name: str) -> str | None:
        for asset_id in self._catalog.assets.ids_of([name]).values():
            if self._catalog.assets.get(asset_id).name == name:
                return asset_id
        return None

    def _config_id(self, batch: JsonBatch) -> str:
        configs = self._catalog.ingestion_configs
        client_key = _CLIENT_KEY_PREFIX + batch.asset_name
        found = configs.of_key(client_key) or configs.create(
            batch.asset_name, client_key, [], batch.organization_id
        )
        return found.ingestion_config_id


class _Flows:
    """The flows of one ingestion config, for one batch."""

    def __init__(
        self, catalog: Catalog, config_id: str, channels: dict[str, ChannelConfig]
    ) -> None:
        self._configs = catalog.ingestion_configs
        self._config_id = config_id
        self._channels = channels
        self._known: dict[frozenset[str], list[ConfiguredFlow]] = {}

    def of(self, values: _Values) -> list[ConfiguredFlow]:
        """The flows by which values go: one, unless there are too many sets of channels."""
        names = frozenset(values)
        flows = self._known.get(names)
        if flows is None:
            flow = self._found(names) or (self._created(names) if self._has_room() else None)
            if flow is not None:
                flows = [flow]
            else:
                single = [frozenset((name,)) for name in sorted(names)]
                flows = [self._found(one) or self._created(one) for one in single]
            self._known[names] = flows
        return flows

    def _has_room(self) -> bool:
        return self._configs.count_flows(self._config_id) < CHANNEL_SETS_MAX

    def _found(self, names: frozenset[str]) -> ConfiguredFlow | None:
        try:
            return self._configs.flow(self._config_id, self._config(names).name)
        except NotFoundError:
            return None

    def _created(self, names: frozenset[str]) -> ConfiguredFlow:
        config = self._config(names)
        self._configs.create_flows(self._config_id, [config])
        return self._configs.flow(self._config_id, config.name)

    def _config(self, names: frozenset[str]) -> FlowConfig:
        """A flow of some channels, whose name says which and of what types."""
        channels = tuple(self._channels[name] for name in sorted(names))
        said = "".join(f"{one.fqn!r} {int(one.data_type)}\n" for one in channels)
        return FlowConfig(hashlib.sha256(said.encode()).hexdigest()[:32], channels)


def _checked(row: JsonRow, channels: dict[str, ChannelConfig], number: int) -> _Values:
    values = {}
    for name, value in row.values.items():
        try:
            values[name] = channel_value(value, channels[name])
        except MisfitError as misfit:
            raise InvalidArgumentError(
                f"the value of {name!r} in row {number} is {shown(value)}, {misfit}. Nothing of"
                " the request was taken"
            ) from None
    return values


def _message(batch: JsonBatch, flow: ConfiguredFlow, timestamp_ns: int, values: _Values) -> bytes:
    message = IngestWithConfigDataStreamRequest(
        ingestion_config_id=flow.ingestion_config_id,
        flow=flow.layout.flow_name,
        run_id=batch.run_id,
        organization_id=batch.organization_id,
        channel_values=[values[name] for name in flow.layout.channel_names],
    )
    message.timestamp.seconds, message.timestamp.nanos = divmod(timestamp_ns, _NS_PER_S)
    return message.SerializeToString()
