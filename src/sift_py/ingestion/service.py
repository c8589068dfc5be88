"""The ingestion service: sends the rows of a telemetry config's flows."""

from __future__ import annotations

import threading
import weakref
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sift.ingest.v1.ingest_pb2 import (
    IngestWithConfigDataChannelValue,
    IngestWithConfigDataStreamRequest,
)
from sift.ingest.v1.ingest_pb2_grpc import IngestServiceStub
from sift_py._internal import unsent
from sift_py._internal.process import OwnProcess
from sift_py.errors import (
    IngestionValidationError,
    MissingExtraError,
    ServiceClosedError,
    SpillError,
)
from sift_py.grpc.retry import DEFAULT_RETRY_POLICY, NO_RETRIES
from sift_py.ingestion._internal.blocks import Block, blocks_of
from sift_py.ingestion._internal.configs import IngestionConfigs
from sift_py.ingestion._internal.ends import FlowEnds
from sift_py.ingestion._internal.rows import RowEncoder, flow_parts
from sift_py.ingestion._internal.rules import update_rules
from sift_py.ingestion._internal.runs import find_or_create_run
from sift_py.ingestion._internal.streams import (
    Batch,
    Remembered,
    RetryingStreams,
    chunks_of,
    streams_of,
)
from sift_py.ingestion._internal.timestamps import timestamp_ns, timestamps_ns
from sift_py.ingestion._internal.values import shown
from sift_py.ingestion.buffer import DEFAULT_BUFFER_BYTES_MAX, BufferedIngestionService
from sift_py.ingestion.spill import DEFAULT_SPILL_LIMITS, SpillLimits, SpillStatus
from sift_wire.messages import PREFIX_BYTES, frame, row_frame, row_frames, value_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    from sift.ingestion_configs.v1.ingestion_configs_pb2 import IngestionConfig
    from sift_py.grpc.retry import RetryPolicy
    from sift_py.grpc.transport import SiftChannel
    from sift_py.ingestion._internal.columns.table import FlowTable
    from sift_py.ingestion._internal.layout import FlowLayout
    from sift_py.ingestion._internal.spill.streams import SpillingStreams
    from sift_py.ingestion._internal.streams import IngestStreams
    from sift_py.ingestion.buffer import OnError
    from sift_py.ingestion.channel import ChannelValue, TypedOrPlainValue
    from sift_py.ingestion.config.telemetry import TelemetryConfig
    from sift_py.ingestion.flow import Flow, FlowConfig, FlowOrderedChannelValues, Timestamp
    from sift_py.ingestion.progress import IngestProgress
    from sift_py.ingestion.rule.config import RuleConfig
    from sift_wire.messages import MessageEnds

__all__ = ["IngestionService"]

FLOW_NAMES_SHOWN_MAX = 10
"""How many flows a message names when it can't find one."""


class IngestionService:
    """Registers a telemetry config with a server, and sends rows of its flows.

    Construction finds the ingestion config of the config's client key, or creates it; creates the
    flows that the server lacks; and, if the config has rules, replaces the asset's rules by them.

    What a client key can't carry is refused with an `IngestionValidationError` that names flow,
    channel and remedy, where the published client went on with misplaced values or another asset: a
    channel added to a flow that the server has, a channel of another type, another asset. Channels
    may be left out or put in another order: **the server's order decides the order on the wire**,
    and what the config lacks is sent empty. (The published client sends its own order, and so
    misplaces values.) The comparison asks the server for the name of the asset, one call more than
    that client makes.

    The methods that begin with `try_` check each row against its flow before anything is sent; the
    others take values in the order of the flow's config and leave the judgement to the server.

    An ingest call is one stream, and returns when the server has answered it. A call that fails for
    a passing reason (`UNAVAILABLE`, `RESOURCE_EXHAUSTED`, `DEADLINE_EXCEEDED`, `ABORTED`) is tried
    again as the retry policy says. What fails in the end, or for another reason, is a
    `grpc.RpcError`.

    Safe from many threads: flows may be created and runs attached while others ingest. A row
    carries the run that is attached when its request is made.

    Attributes:
        transport_channel: The channel.
        ingestion_config: The ingestion config as the server has it.
        asset_name: Name of the asset.
        flow_configs_by_name: The flows that rows may be sent for.
        rules: The rules of the telemetry config.
        run_id: Run that new requests belong to; None for none.
        organization_id: As in the telemetry config.
        overwrite_rules: Whether rules of the asset that the config lacks were deleted. (The
            published client forgets it.)
        end_stream_on_error: Whether the server ends a stream at the first message that does not
            fit its flow. Otherwise it keeps such messages in an error queue and goes on.
        ingest_service_stub: gRPC's stub of the ingest service.

    Example:
        ```python
        with use_sift_channel(SiftChannelConfig(uri=uri, apikey=key)) as channel:
            service = IngestionService(channel, telemetry_config)
            service.attach_run(channel, "hot fire 12")
            service.try_ingest_flows({
                "flow_name": "readings",
                "timestamp": datetime.now(timezone.utc),
                "channel_values": [{"channel_name": "voltage", "value": int32_value(5)}],
            })
        ```
    """

    transport_channel: SiftChannel
    ingestion_config: IngestionConfig
    asset_name: str
    flow_configs_by_name: dict[str, FlowConfig]
    rules: list[RuleConfig]
    run_id: str | None
    organization_id: str | None
    overwrite_rules: bool
    end_stream_on_error: bool
    ingest_service_stub: IngestServiceStub

    def __init__(
        self,
        channel: SiftChannel,
        config: TelemetryConfig,
        run_id: str | None = None,
        overwrite_rules: bool = False,
        end_stream_on_error: bool = False,
        retry_policy: RetryPolicy | None = DEFAULT_RETRY_POLICY,
        spill_dir: str | Path | None = None,
        spill_limits: SpillLimits = DEFAULT_SPILL_LIMITS,
    ) -> None:
        """Register a telemetry config.

        Args:
            channel: Any gRPC channel to the server, see `use_sift_channel`.
            config: What the asset sends.
            run_id: Run that rows belong to from the start, see also `attach_run`.
            overwrite_rules: Delete rules of the asset that the config does not have. Otherwise
                they are an error.
            end_stream_on_error: See the attribute.
            retry_policy: How calls are tried again that fail for a passing reason; None for not.
            spill_dir: Folder for what can't be sent while the server is away; made when missing.
                An ingest call then returns when its rows are acknowledged, or synced to disk, from
                where a thread sends them, or the next program on that folder; `flush` and `close`
                wait for it. Programs may share a folder. None for not.
            spill_limits: How much the folder may hold, and what happens when it is full.

        Raises:
            IngestionValidationError: The server has something under the client key that the config
                contradicts, or a rule that would be deleted.
            RulesRejectedError: The server refused the rules.
            SpillError: The spill folder can't be used.
            grpc.RpcError: A call failed.
        """
        self.transport_channel = channel
        self.asset_name = config.asset_name
        self.rules = config.rules
        self.run_id = run_id
        self.organization_id = config.organization_id
        self.overwrite_rules = overwrite_rules
        self.end_stream_on_error = end_stream_on_error
        self.ingest_service_stub = IngestServiceStub(channel)
        self._process = OwnProcess("the ingestion service")
        self._retry_policy = retry_policy or NO_RETRIES
        self._configs = IngestionConfigs(channel, self._retry_policy)
        self.ingestion_config, layouts = self._configs.open(config)
        self._encoders = {name: RowEncoder(layout) for name, layout in layouts.items()}
        self._ends = FlowEnds(self.ingestion_config.ingestion_config_id)
        self.flow_configs_by_name = {flow.name: flow for flow in config.flows}
        self._streams: IngestStreams = RetryingStreams(streams_of(channel), self._retry_policy)
        self._spilling: SpillingStreams | None = None
        self._buffers: weakref.WeakSet[BufferedIngestionService] = weakref.WeakSet()
        """Those in front of this service; one that has something is kept by `unsent`."""
        # Guards both dictionaries, which are replaced and never changed: who reads needs no lock.
        self._flows_lock = threading.Lock()
        if self.rules:
            update_rules(
                channel,
                self.ingestion_config.asset_id,
                self.rules,
                self._retry_policy,
                overwrite=overwrite_rules,
            )
        if spill_dir is not None:
            self._streams = self._spilling = self._open_spilling(Path(spill_dir), spill_limits)

    def ingest(self, *requests: IngestWithConfigDataStreamRequest) -> None:
        """Send requests in one stream, in order, and wait until the server has answered.

        Without requests an empty stream is opened.

        Raises:
            grpc.RpcError: The stream failed; some of the requests may have been taken. To send
                them again does no harm.
        """
        self._send([frame(request.SerializeToString()) for request in requests])

    def create_ingestion_request(
        self,
        flow_name: str,
        timestamp: Timestamp,
        channel_values: Sequence[TypedOrPlainValue],
    ) -> IngestWithConfigDataStreamRequest:
        """Make a request from values that are in the order of the flow's config, unchecked.

        They are put in the server's order if that is another one.

        Args:
            flow_name: Name of the flow.
            timestamp: A `datetime` (a naive one is taken as UTC), an integer of nanoseconds since
                1970, or a `numpy.datetime64`.
            channel_values: A value for each channel; `empty_value()` for none.

        Raises:
            IngestionValidationError: The timestamp is none, or the values can't be put in the
                server's order because they are not as many as the channels.
        """
        return IngestWithConfigDataStreamRequest.FromString(
            self._frame(self._message_ends(), flow_name, timestamp, channel_values)[PREFIX_BYTES:]
        )

    def try_create_ingestion_request(
        self, flow_name: str, timestamp: Timestamp, channel_values: Iterable[ChannelValue]
    ) -> IngestWithConfigDataStreamRequest:
        """Make a request from values with the names of their channels, checked.

        Channels that are left out have no value in this row, as have those with an explicit
        `empty_value()` (which the published client refuses).

        Args:
            flow_name: Name of the flow.
            timestamp: An aware `datetime` whose offset from UTC is zero, whatever the zone's name;
                an integer of nanoseconds since 1970; or a `numpy.datetime64`.
            channel_values: In any order.

        Raises:
            IngestionValidationError: In this order: there is no such flow; a channel has two
                values; a value has not the type of its channel; a value is for no channel of the
                flow; the timestamp can't be used, or is not in UTC.
        """
        return IngestWithConfigDataStreamRequest.FromString(
            self._try_frame(self._message_ends(), flow_name, timestamp, channel_values)[
                PREFIX_BYTES:
            ]
        )

    def ingest_flows(self, *flows: FlowOrderedChannelValues) -> None:
        """Make requests as `create_ingestion_request` does, and send them in one stream.

        Rows are checked before anything is sent, and typed values are read while they are sent: do
        not change them meanwhile.

        Raises:
            IngestionValidationError: A row can't be made a request; nothing was sent.
            grpc.RpcError: The stream failed.
        """
        self._send(self._frames(flows))

    def try_ingest_flows(self, *flows: Flow) -> None:
        """Make requests as `try_create_ingestion_request` does, and send them in one stream.

        Raises:
            IngestionValidationError: A row does not fit its flow; nothing was sent.
            grpc.RpcError: The stream failed.
        """
        self._send(self._try_frames(flows))

    def ingest_flow(self, flow: FlowOrderedChannelValues) -> None:
        """Send one row, as `ingest_flows` does."""
        self.ingest_flows(flow)

    def try_ingest_flow(self, flow: Flow) -> None:
        """Check and send one row, as `try_ingest_flows` does."""
        self.try_ingest_flows(flow)

    def ingest_columns(
        self,
        flow_name: str,
        timestamps: object,
        columns: Mapping[str, object],
        *,
        on_progress: Callable[[IngestProgress], object] | None = None,
    ) -> int:
        """Send many rows of a flow, given as one array for each channel, in one stream.

        A column may be an array of NumPy (a masked one too), a series of pandas or Polars, an array
        of Arrow (or whatever speaks Arrow's C interface), or a list of plain values. It is checked
        as the values of rows are, once, before anything is sent, and read while it is sent: do not
        change it meanwhile. Rows are encoded as fast as the server takes them, in chunks.

        No value is: what is masked or null, None, and a channel without a column. NaN is a value
        and sent as NaN, in a series of pandas too, unless its dtype is a nullable one.

        Args:
            flow_name: Name of the flow.
            timestamps: One for each row: integers of nanoseconds since 1970, `datetime64` of any
                unit, or times of pandas, Polars or Arrow; all are instants, in UTC if they have no
                zone. In a list also `datetime`, which must be aware and in UTC.
            columns: By the fully qualified name of the channel (`component.name`, or `name`).
            on_progress: Called when a chunk has been handed to the connection, from a thread of
                the channel. What it raises breaks off the call. A retry counts from the start.

        Returns:
            How many rows there were. All are acknowledged.

        Raises:
            IngestionValidationError: A timestamp, a column or a value does not fit the flow, with
                the row; nothing was sent.
            MissingExtraError: NumPy is not installed.
            grpc.RpcError: The stream failed; some of the rows may have been taken. To send them
                again does no harm.

        Example:
            ```python
            times = np.datetime64("2026-11-24T12:00:00", "ns") + np.arange(1000) * 1_000_000
            service.ingest_columns("readings", times, {"voltage": np.full(1000, 5)})
            ```
        """
        layout, tables = self._table_parts(flow_name)
        table = tables.of_columns(layout, timestamps, columns)
        return self._send_table(table, flow_name, on_progress)

    def ingest_dataframe(
        self,
        flow_name: str,
        frame: object,
        timestamp_column: str,
        *,
        on_progress: Callable[[IngestProgress], object] | None = None,
    ) -> int:
        """Send the rows of a data frame in one stream, as `ingest_columns` does.

        Args:
            flow_name: Name of the flow.
            frame: Of pandas or Polars; a table or batch of Arrow, or whatever gives an Arrow
                stream; or a mapping of names to arrays. Each column but one is a channel.
            timestamp_column: Name of the column with the timestamps; in pandas the index may have
                that name.
            on_progress: As in `ingest_columns`.

        Returns:
            How many rows there were. All are acknowledged.

        Raises:
            IngestionValidationError: As in `ingest_columns`; or there are no such timestamps, or
                two columns of one name.
            MissingExtraError: NumPy is not installed.
            grpc.RpcError: The stream failed.
        """
        layout, tables = self._table_parts(flow_name)
        table = tables.of_frame(layout, frame, timestamp_column)
        return self._send_table(table, flow_name, on_progress)

    def attach_run(
        self,
        channel: SiftChannel,
        run_name: str,
        description: str | None = None,
        organization_id: str | None = None,
        tags: list[str] | None = None,
    ) -> None:
        """Let new requests belong to the run of that name; without one, create it.

        Names of runs need not be unique: the first that the server lists is taken, as it is. The
        description, organization and tags are for a new one.

        Raises:
            grpc.RpcError: A call failed; the run is as it was.
        """
        self._process.check()
        self.run_id = find_or_create_run(
            channel, run_name, description, organization_id, tags, self._retry_policy
        )

    def detach_run(self) -> None:
        """Let new requests belong to no run."""
        self.run_id = None

    def buffered_ingestion(
        self,
        buffer_size: int | None = None,
        flush_interval_sec: float | None = None,
        on_error: OnError | None = None,
        buffer_bytes_max: int = DEFAULT_BUFFER_BYTES_MAX,
    ) -> BufferedIngestionService:
        """Return a buffer in front of this service, for a with-block.

        Args:
            buffer_size: How many requests to send at once; None or 0 for `DEFAULT_BUFFER_SIZE`.
            flush_interval_sec: Flush also when this has passed since the last flush.
            on_error: Called as `on_error(error, buffer, flush)` when the with-block raises, in
                place of the last flush: `buffer` is the list of requests that were not answered,
                which may be changed, and `flush()` sends what it has. The error is raised after it.
            buffer_bytes_max: How many bytes of requests may wait, while the server is away for
                example. So many are sent at once, too.

        Raises:
            IngestionValidationError: A size or the interval is not positive.
        """
        return BufferedIngestionService(
            self, buffer_size, flush_interval_sec, on_error, buffer_bytes_max
        )

    def create_flow(self, flow_config: FlowConfig, *flow_configs: FlowConfig) -> None:
        """Create flows in one call, and let rows be sent for them.

        Flows that the server has already, with these channels, are used as they are there. A flow
        of the same name in this service is replaced.

        Raises:
            IngestionValidationError: The server has a flow of such a name that lacks a channel, or
                has it with another type.
            grpc.RpcError: The call failed.
        """
        self._process.check()
        flows = (flow_config, *flow_configs)
        layouts = self._configs.create_flows(self.ingestion_config.ingestion_config_id, flows)
        encoders = {name: RowEncoder(layout) for name, layout in layouts.items()}
        configs = {flow.name: flow for flow in flows}
        with self._flows_lock:
            self._encoders = {**self._encoders, **encoders}
            self.flow_configs_by_name = {**self.flow_configs_by_name, **configs}

    def try_create_flow(self, flow_config: FlowConfig, *flow_configs: FlowConfig) -> None:
        """Create flows as `create_flow` does, but none that this service has already.

        Raises:
            IngestionValidationError: This service has a flow of such a name, or as in
                `create_flow`; nothing was created.
            grpc.RpcError: The call failed.
        """
        for flow in (flow_config, *flow_configs):
            if flow.name in self.flow_configs_by_name:
                raise IngestionValidationError(
                    f"flow '{flow.name}' exists already in asset '{self.asset_name}'. Give it"
                    " another name, or use create_flow() to replace it."
                )
        self.create_flow(flow_config, *flow_configs)

    @property
    def spill_status(self) -> SpillStatus:
        """What of the data is on disk and not acknowledged."""
        self._process.check()
        return SpillStatus() if self._spilling is None else self._spilling.status()

    def flush(self) -> None:
        """Send what is in buffers, and wait until everything, on disk too, is acknowledged.

        As long as the server takes something it goes on; if it takes nothing, it gives up after as
        many attempts, or as long, as the retry policy allows.

        Raises:
            NotAcknowledgedError: Some is not; the message says how much, why, and whether it is in
                a buffer or in which files.
            SpillError: A buffer could not be sent, and not be put on disk.
            ServiceClosedError: As with ingest calls.
        """
        self._flush_buffers()
        self._wait_for_spilled()

    def close(self) -> None:
        """Flush, and send nothing more. The channel stays open. Once is enough.

        Raises:
            NotAcknowledgedError: As in `flush`. What is on disk is for the next program on the
                folder; what is in a buffer can be had with `discard`.
            SpillError: As in `flush`.
        """
        if isinstance(self._streams, _Closed):
            return
        try:
            self._flush_buffers()
        finally:
            self._streams = _Closed()
            if self._spilling is not None and self._process.is_this:
                self._spilling.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        if exc_val is None:
            self.close()
        else:
            unsent.end_after(exc_val, self.close, "Closing the ingestion service")

    def _open_spilling(self, spill_dir: Path, limits: SpillLimits) -> SpillingStreams:
        try:
            # Its locks are those of POSIX, and few programs need it.
            from sift_py.ingestion._internal.spill.folder import SpillFolder  # noqa: PLC0415
            from sift_py.ingestion._internal.spill.streams import SpillingStreams  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise SpillError(f"a spill folder can't be used on this system: {error}.") from None
        return SpillingStreams(
            streams_of(self.transport_channel),
            SpillFolder(spill_dir, limits),
            self._retry_policy,
            self.ingestion_config.ingestion_config_id,
            self._configs.is_known,
        )

    def _flush_buffers(self) -> None:
        self._process.check()
        sends = [each._send_rest for each in self._buffers]  # noqa: SLF001 - two halves of one thing
        unsent.end_all(sends, "The flush of another buffer")

    def _wait_for_spilled(self) -> None:
        if self._spilling is not None:
            self._spilling.flush()

    def _send(self, frames: Iterable[bytes]) -> None:
        self._process.check()
        self._streams.send(Batch(Remembered(chunks_of(frames))))

    def _table_parts(self, flow_name: str) -> tuple[FlowLayout, type[FlowTable]]:
        encoder = self._encoders.get(flow_name)
        if encoder is None:
            raise self._unknown_flow(flow_name)
        try:
            # NumPy is an extra, and loading it takes time.
            from sift_py.ingestion._internal.columns.table import FlowTable  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                f"columns need NumPy: pip install 'sift-py[columns]' ({error})."
            ) from None
        return encoder.layout, FlowTable

    def _send_table(
        self,
        table: FlowTable,
        flow_name: str,
        on_progress: Callable[[IngestProgress], object] | None,
    ) -> int:
        self._process.check()
        ends = self._message_ends()[flow_name]
        self._streams.send(Batch(_Repeated(lambda: table.chunks(ends, on_progress))))
        return table.rows

    def _frames(self, flows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
        """Check rows, and return their frames, which are made when they are asked for.

        To iterate over them raises nothing.
        """
        return self._in_blocks(flows, self._block_frames, self._frame, same_length=True)

    def _try_frames(self, flows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
        """As `_frames`, for values with names, but the frames are made already."""
        return self._in_blocks(flows, self._try_block_frames, self._try_frame, same_length=False)

    def _in_blocks(
        self,
        flows: Iterable[Mapping[str, Any]],
        block_frames: Callable[[FlowEnds, Block], Iterable[bytes]],
        row_frame: Callable[[FlowEnds, str, Any, Any], bytes],
        *,
        same_length: bool,
    ) -> Iterator[bytes]:
        ends = self._message_ends()
        frames: list[Iterable[bytes]] = []
        for block in blocks_of(flows, same_length=same_length):
            if not isinstance(block, Block):
                frames.append([row_frame(ends, *flow_parts(block))])
                continue
            made: Iterable[bytes] | None = None
            with suppress(IngestionValidationError):
                made = block_frames(ends, block)
            if made is None:
                # Row by row, the first row that is wrong raises.
                rows = zip(block.timestamps, block.rows, strict=True)
                made = [row_frame(ends, block.flow_name, *row) for row in rows]
            frames.append(made)
        return chain.from_iterable(frames)

    def _block_frames(self, ends: FlowEnds, block: Block) -> Iterable[bytes]:
        encoder = self._encoders.get(block.flow_name)
        if encoder is None:
            raise self._unknown_flow(block.flow_name)
        values = encoder.ordered_rows(block.rows)
        nanoseconds = timestamps_ns(block.timestamps, block.flow_name, utc_only=False)
        return _made_later(ends[block.flow_name], nanoseconds, values)

    def _try_block_frames(self, ends: FlowEnds, block: Block) -> Iterable[bytes]:
        encoder = self._encoders.get(block.flow_name)
        if encoder is None:
            raise self._unknown_flow(block.flow_name)
        fields = encoder.named_rows(block.rows)
        nanoseconds = timestamps_ns(block.timestamps, block.flow_name, utc_only=True)
        return row_frames(ends[block.flow_name], nanoseconds, fields)

    def _frame(
        self, ends: FlowEnds, flow_name: str, timestamp: Timestamp, values: Sequence[Any]
    ) -> bytes:
        encoder = self._encoders.get(flow_name)
        fields = self._unchecked(flow_name, values) if encoder is None else encoder.ordered(values)
        nanoseconds = timestamp_ns(timestamp, flow_name, utc_only=False)
        return row_frame(ends[flow_name], nanoseconds, fields)

    def _try_frame(
        self, ends: FlowEnds, flow_name: str, timestamp: Timestamp, values: Iterable[Any]
    ) -> bytes:
        encoder = self._encoders.get(flow_name)
        if encoder is None:
            raise self._unknown_flow(flow_name)
        fields = encoder.named(values)
        nanoseconds = timestamp_ns(timestamp, flow_name, utc_only=True)
        return row_frame(ends[flow_name], nanoseconds, fields)

    def _unchecked(self, flow_name: str, values: Iterable[Any]) -> bytes:
        """Values of a flow that is not known here; the server may know it."""
        parts = []
        for value in values:
            if not isinstance(value, IngestWithConfigDataChannelValue):
                raise IngestionValidationError(
                    f"{self._unknown_flow(flow_name)} So the type of {shown(value)} is not known:"
                    " use double_value(...) or its like."
                )
            parts.append(value.SerializeToString())
        return value_fields(parts)

    def _message_ends(self) -> FlowEnds:
        """What is around the timestamp and values of new messages, by flow."""
        common = (
            self.ingestion_config.ingestion_config_id,
            self.run_id or "",
            self.organization_id or "",
            self.end_stream_on_error,
        )
        ends = self._ends
        if ends.common != common:
            ends = self._ends = FlowEnds(*common)
        return ends

    def _unknown_flow(self, flow_name: str) -> IngestionValidationError:
        names = sorted(self._encoders)
        listed = ", ".join(f"'{name}'" for name in names[:FLOW_NAMES_SHOWN_MAX]) or "no flows"
        more = ", ..." if len(names) > FLOW_NAMES_SHOWN_MAX else ""
        return IngestionValidationError(
            f"a flow config with the name '{flow_name}' could not be found in asset"
            f" '{self.asset_name}', which has {listed}{more}. Add it to the telemetry config, or"
            " create it with try_create_flow()."
        )


def _made_later(
    ends: MessageEnds, timestamps_ns: list[int], values: Callable[[], list[bytes]]
) -> Iterator[bytes]:
    yield from row_frames(ends, timestamps_ns, values())


class _Repeated:
    """Iterates over what a function makes anew each time."""

    def __init__(self, make: Callable[[], Iterator[bytes]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[bytes]:
        return self._make()


class _Closed:
    """The streams of a service that was closed."""

    def send(self, batch: Batch) -> None:  # noqa: ARG002 - as `IngestStreams`
        """Refuse."""
        raise ServiceClosedError("the ingestion service is closed; make a new one.")
