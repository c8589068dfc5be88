"""Points as the server gives them, piece by piece: as Arrow, or in pages of the protocol."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pyarrow as pa
from google.protobuf import json_format

from sift.common.type.v1 import channel_data_type_pb2
from sift.data.v2 import data_pb2
from sift.data.v2.data_pb2_grpc import DataServiceStub
from sift_py.errors import DataReadError
from sift_py.grpc._answers import status_error
from sift_py.grpc._channel import TargetChannel

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from sift_py.grpc._answers import Answer
    from sift_py.grpc.transport import SiftChannel

DATA_PATH = "/arrow/v1/data"
PAGE_SIZE = 100_000
QUERIES_PER_CALL = 1_000
"""As many as a server takes."""

TIME = pa.timestamp("ns", tz="UTC")

_TYPE_PREFIX = "CHANNEL_DATA_TYPE_"
_ERROR_KEY = b"sift.error"
_ABOUT_KEY = b"sift"
_NS_PER_S = 1_000_000_000

_NO_DOOR = frozenset({grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.NOT_FOUND})
"""How servers answer that do not know the path. Ours answers a channel that is not there so, too:
then the pages say it."""

_ARROW_TYPES: dict[str, Any] = {
    "DoubleValues": pa.float64(),
    "FloatValues": pa.float32(),
    "Int32Values": pa.int32(),
    "Int64Values": pa.int64(),
    "Uint32Values": pa.uint32(),
    "Uint64Values": pa.uint64(),
    "EnumValues": pa.uint32(),
    "BoolValues": pa.bool_(),
    "StringValues": pa.string(),
    "BytesValues": pa.binary(),
}


@dataclass(frozen=True)
class About:
    """What points are of.

    Attributes:
        query: Number of the query, counted from 0.
        channel_id: The channel.
        channel: Its name.
        data_type: Name of its data type, such as `DOUBLE`.
        unit: Its unit.
        enum_types: Name and key of each state of an enum.
        asset: Name of its asset.
        run_id: The run, or an empty string.
        run: Its name.
        sampled_ms: Milliseconds that one point stands for, or 0.
    """

    query: int
    channel_id: str
    channel: str
    data_type: str
    unit: str
    enum_types: tuple[tuple[str, int], ...]
    asset: str
    run_id: str
    run: str
    sampled_ms: int


def read_pieces(
    channel: SiftChannel, request: data_pb2.GetDataRequest
) -> Generator[tuple[About, Any]]:
    """Read all that a request is about, whatever its page size says.

    Yields:
        What points are of, and a record batch with the column `time`, and `value` or a column for
        each element of a bit field. In the order of queries, then of runs, then of time. Closing
        the iterator breaks the answer off.

    Raises:
        DataReadError: The server refused, or broke off.
        grpc.RpcError: The same, from a server that has only pages.
    """
    queries = list(request.queries)
    for first in range(0, len(queries), QUERIES_PER_CALL):
        asking = with_queries(request, queries[first : first + QUERIES_PER_CALL])
        for about, batch in _read(channel, asking):
            yield replace(about, query=first + about.query), batch


def first_piece(channel: SiftChannel, request: data_pb2.GetDataRequest) -> tuple[About, Any] | None:
    """One of the points that a request is about, as `read_pieces` gives them; None if it has none.

    Raises:
        grpc.RpcError: The server refused.
    """
    return next(_from_pages(channel, request, page_size=1), None)


def with_queries(
    request: data_pb2.GetDataRequest, queries: Iterable[data_pb2.Query]
) -> data_pb2.GetDataRequest:
    """The same request about something else."""
    other = data_pb2.GetDataRequest()
    other.CopyFrom(request)
    del other.queries[:]
    other.queries.extend(queries)
    return other


def _read(channel: SiftChannel, request: data_pb2.GetDataRequest) -> Iterator[tuple[About, Any]]:
    if not isinstance(channel, TargetChannel):
        yield from _from_pages(channel, request)
        return
    with closing(_from_arrow(channel, request)) as pieces:
        try:
            first = next(pieces, None)
        except DataReadError as error:
            if error.code() not in _NO_DOOR:
                raise
            yield from _from_pages(channel, request)
            return
        if first is not None:
            yield first
            yield from pieces


def _from_arrow(
    channel: TargetChannel, request: data_pb2.GetDataRequest
) -> Generator[tuple[About, Any]]:
    question = json_format.MessageToDict(request)
    with channel.answers().ask(DATA_PATH, question) as answer:
        for schema, batch in arrow_batches(answer):
            document = json.loads(schema.metadata[_ABOUT_KEY])
            yield about_of(document), batch


def about_of(document: dict[str, Any]) -> About:
    """What the metadata `sift` of a schema says."""
    """What points are of, as the metadata `sift` of a schema says."""
    return About(
        document["query"],
        document["channel_id"],
        document["channel"],
        document["data_type"],
        document["unit"],
        tuple((name, key) for name, key in document["enum_types"]),
        document["asset"],
        document["run_id"],
        document["run"],
        document["sampled_ms"],
    )


def arrow_batches(answer: Answer) -> Iterator[tuple[Any, Any]]:
    """The record batches of the streams of an answer, each with its schema.

    Raises:
        DataReadError: The server says in the answer that it can't go on.
    """
    for schema, batches in arrow_streams(answer):
        for batch in batches:
            yield schema, batch


def arrow_streams(answer: Answer) -> Iterator[tuple[Any, Iterable[Any]]]:
    """The streams of an answer: schema and record batches. Each is read before the next one.

    Raises:
        DataReadError: The server says in the answer that it can't go on.
    """
    file = pa.PythonFile(answer, mode="r")
    while not answer.is_at_end:
        with pa.ipc.open_stream(file) as reader:
            schema = reader.schema
            if schema.metadata and _ERROR_KEY in schema.metadata:
                raise status_error(json.loads(schema.metadata[_ERROR_KEY]))
            yield schema, reader


def _from_pages(
    channel: SiftChannel, request: data_pb2.GetDataRequest, page_size: int = PAGE_SIZE
) -> Iterator[tuple[About, Any]]:
    stub: Any = DataServiceStub(channel)
    # One at a time: an answer does not say which query it is of.
    for number, query in enumerate(request.queries):
        asking = with_queries(request, [query])
        asking.page_size = page_size
        while True:
            page = stub.GetData(asking)
            for packed in page.data:
                # `Unpack` would insist on a slash in the type URL.
                name = packed.type_url.rpartition(".")[2]
                message = getattr(data_pb2, name).FromString(packed.value)
                if batch := _batch(name, message):
                    yield _about_message(number, message.metadata), batch
            if not page.next_page_token:
                break
            asking.page_token = page.next_page_token


def _about_message(number: int, metadata: data_pb2.Metadata) -> About:
    data_type = channel_data_type_pb2.ChannelDataType.Name(metadata.data_type)
    return About(
        number,
        metadata.channel.channel_id,
        metadata.channel.name,
        data_type.removeprefix(_TYPE_PREFIX),
        metadata.channel.unit.abbreviated_name,
        tuple((state.name, state.key) for state in metadata.channel.enum_types),
        metadata.asset.name,
        metadata.run.run_id,
        metadata.run.name,
        metadata.sampled_ms,
    )


def _batch(name: str, message: Any) -> Any:  # noqa: ANN401 (any of the messages; pyarrow has no types)
    if name == "BitFieldValues":
        if not message.values:
            return None
        columns = {
            element.name: pa.array([point.value for point in element.values], pa.uint32())
            for element in message.values
        }
        points = message.values[0].values
    else:
        points = message.values
        columns = {"value": pa.array([point.value for point in points], _ARROW_TYPES[name])}
    times = np.fromiter(
        (point.timestamp.seconds * _NS_PER_S + point.timestamp.nanos for point in points),
        np.int64,
        len(points),
    )
    return pa.record_batch({"time": pa.array(times).cast(TIME), **columns})
