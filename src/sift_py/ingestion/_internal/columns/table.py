"""The columns of a flow: checked, in the order of the wire, and encoded as they are sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sift_py.errors import IngestionValidationError
from sift_py.ingestion._internal.columns.arrow import read_column, read_table
from sift_py.ingestion._internal.columns.arrow_interface import has_arrow
from sift_py.ingestion._internal.columns.check import checked
from sift_py.ingestion._internal.columns.given import (
    UnreadableError,
    given_of,
    is_of_pandas,
    lazy_hint,
)
from sift_py.ingestion._internal.columns.times import timestamps_ns_of
from sift_py.ingestion._internal.layout import ABSENT
from sift_py.ingestion._internal.rows import unexpected_channels
from sift_py.ingestion.progress import IngestProgress
from sift_wire.encode import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from sift_py.ingestion._internal.columns.given import Given
    from sift_py.ingestion._internal.layout import FlowLayout
    from sift_wire.fields import Column
    from sift_wire.messages import MessageEnds


class FlowTable:
    """Rows of a flow as columns, checked.

    Attributes:
        rows: How many.
    """

    def __init__(self, timestamps_ns: NDArray[np.int64], columns: Sequence[Column]) -> None:
        """Take columns that are in the order of the wire."""
        self.rows = len(timestamps_ns)
        self._timestamps_ns = timestamps_ns
        self._columns = columns

    @classmethod
    def of_columns(
        cls, layout: FlowLayout, timestamps: object, columns: Mapping[str, object]
    ) -> FlowTable:
        """Check columns that are given by the names of their channels.

        Raises:
            IngestionValidationError: In this order: a column is for no channel; a timestamp can't
                be used; a column is of no kind that can be read, has not one value for each
                timestamp, or has a value that does not fit.
        """
        flow_name = layout.flow_name
        if not isinstance(columns, Mapping):
            raise IngestionValidationError(
                f"flow '{flow_name}': columns must be a mapping of channel names to arrays, got a"
                f" {type(columns).__name__}{lazy_hint(columns)}. For a data frame use"
                " ingest_dataframe()."
            )
        known = {channel.fqn for channel in layout.channels}
        unknown = [name for name in columns if name not in known]
        if unknown:
            raise unexpected_channels(layout, unknown)
        times = timestamps_ns_of(flow_name, _read(flow_name, "timestamps", timestamps))
        by_channel: list[Column] = []
        for channel in layout.channels:
            column: Column = None
            if channel.fqn in columns:
                given = _read(flow_name, f"the column '{channel.fqn}'", columns[channel.fqn])
                if len(given) != len(times):
                    raise IngestionValidationError(
                        f"flow '{flow_name}': the column '{channel.fqn}' has {len(given)} values,"
                        f" and there are {len(times)} timestamps. Give one for each, None or a"
                        " mask where there is none."
                    )
                column = checked(flow_name, channel, given)
            by_channel.append(column)
        if layout.wire_order is None:
            return cls(times, by_channel)
        wire = [None if at == ABSENT else by_channel[at] for at in layout.wire_order]
        return cls(times, wire)

    @classmethod
    def of_frame(cls, layout: FlowLayout, frame: object, timestamp_column: str) -> FlowTable:
        """Check the columns of a data frame.

        Raises:
            IngestionValidationError: It is no data frame, has two columns of one name, or none for
                the timestamps; or as in `of_columns`.
        """
        columns: dict[str, object] = {}
        for name, column in _columns_of(layout.flow_name, frame, timestamp_column):
            if name in columns:
                raise IngestionValidationError(
                    f"flow '{layout.flow_name}': the data frame has two columns '{name}'. Rename or"
                    " drop one."
                )
            columns[name] = column
        if timestamp_column not in columns:
            names = ", ".join(f"'{name}'" for name in columns) or "none"
            raise IngestionValidationError(
                f"flow '{layout.flow_name}': the data frame has no column '{timestamp_column}' for"
                f" the timestamps, only {names}."
            )
        return cls.of_columns(layout, columns.pop(timestamp_column), columns)

    def chunks(
        self, ends: MessageEnds, on_progress: Callable[[IngestProgress], object] | None
    ) -> Iterator[bytes]:
        """Encode, a chunk each time that one is asked for: the one before has been taken then."""
        rows_sent = bytes_sent = 0
        for data, rows in encode(ends, self._timestamps_ns, self._columns):
            yield data
            rows_sent += rows
            bytes_sent += len(data)
            if on_progress is not None:
                on_progress(IngestProgress(rows_sent, self.rows, bytes_sent))


def _read(flow_name: str, what: str, column: object) -> Given:
    try:
        if _is_read_as_arrow(column):
            return read_column(column)
        return given_of(column)
    except UnreadableError as error:
        raise IngestionValidationError(f"flow '{flow_name}': {what} {error}.") from None


def _is_read_as_arrow(column: object) -> bool:
    """Whether to read by way of Arrow: of pandas only strings, which have no NaN."""
    if is_of_pandas(column):
        storage = getattr(getattr(column, "dtype", None), "storage", None)
        return storage == "pyarrow" and has_arrow(column)
    return has_arrow(column)


def _columns_of(
    flow_name: str,
    frame: Any,  # noqa: ANN401 - of any library
    timestamp_column: str,
) -> Sequence[tuple[str, object]]:
    if isinstance(frame, Mapping):
        return list(frame.items())
    if is_of_pandas(frame) and hasattr(frame, "columns"):
        # Not by way of Arrow, where pandas takes NaN for no value.
        columns = [(name, frame.iloc[:, at]) for at, name in enumerate(frame.columns)]
        if frame.index.name == timestamp_column and timestamp_column not in frame.columns:
            columns.append((timestamp_column, frame.index))
        return columns
    try:
        if has_arrow(frame):
            return read_table(frame)
    except UnreadableError as error:
        raise IngestionValidationError(f"flow '{flow_name}': the data frame {error}.") from None
    raise IngestionValidationError(
        f"flow '{flow_name}': a data frame of pandas, Polars or Arrow, or a mapping of names to"
        f" arrays, was expected, got a {type(frame).__name__}{lazy_hint(frame)}."
    )
