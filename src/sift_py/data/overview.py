"""What a channel is like in buckets of time: a picture of it, however many points there are."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sift_py.data._finding import Finder
from sift_py.data._moments import to_ns
from sift_py.data._pieces import arrow_batches
from sift_py.data._source import connected
from sift_py.errors import DataError, MissingExtraError
from sift_py.grpc._channel import TargetChannel

if TYPE_CHECKING:
    import pandas as pd

    from sift_py.data._moments import Moment
    from sift_py.data._source import Source

__all__ = ["Overview", "read_overview"]

OVERVIEW_PATH = "/arrow/v1/overview"

_ABOUT_KEY = b"sift"


@dataclass(frozen=True, eq=False)
class Overview:
    """What a channel is like in buckets of time; those without points are left out.

    To whatever takes Arrow data it is its table.

    Attributes:
        channel: Name of the channel.
        asset: Name of its asset.
        data_type: Name of its data type, such as `DOUBLE`.
        unit: Its unit, or an empty string.
        states: Names of an enum's states, by key.
        bucket_ns: How wide buckets are, in nanoseconds.
        table: A `pyarrow.Table` with a row for each bucket: `start`, and `last_time`, `last`,
            `minimum` and `maximum` of its points. States of an enum are their keys.
    """

    channel: str
    asset: str
    data_type: str
    unit: str
    states: dict[int, str]
    bucket_ns: int
    table: Any

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def to_pandas(self) -> pd.DataFrame:
        """A data frame, with `start` as its index.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        try:
            import pandas  # noqa: F401, ICN001, PLC0415
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                f"to_pandas needs pandas: pip install pandas ({error})."
            ) from None
        frame: pd.DataFrame = self.table.to_pandas()
        return frame.set_index("start")

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The table, for libraries that take Arrow data (its PyCapsule interface)."""
        return self.table.__arrow_c_stream__(requested_schema)


def read_overview(
    asset: str,
    channel: str,
    start: Moment | None = None,
    end: Moment | None = None,
    *,
    run: str | None = None,
    pixels: int = 2_000,
    source: Source | None = None,
) -> Overview:
    """Read what a channel of numbers is like: the last, smallest and largest value of each pixel.

    That takes some milliseconds, whether there are a thousand points or a hundred million.

    Args:
        asset: Name of the asset.
        channel: Name of the channel: of numbers, an enum or bools.
        start: Earliest time, as in `read_channels`; None is where the points begin.
        end: Time that is no longer included; None is behind the last point.
        run: Name, id or client key of a run; an empty string for what has no run, None for all.
        pixels: How many buckets there are at the most, of equal width.
        source: As in `read_channels`. It needs a server of this project.

    Raises:
        DataError: There is no asset, channel or run of the name, several runs are, a time can't be
            used, or the channel is a calculated one.
        DataReadError: The server refused, such as a channel of strings.
        grpc.RpcError: Another call failed.

    Example:
        ```python
        overview = read_overview("test-stand-3", "chamber_pressure", source="./telemetry")
        overview.to_pandas()[["minimum", "maximum"]].plot()
        ```
    """
    question: dict[str, Any] = {"buckets": pixels}
    if start is not None:
        question["start_ns"] = to_ns(start, "start")
    if end is not None:
        question["end_ns"] = to_ns(end, "end")
    with connected(source) as opened:
        if not isinstance(opened, TargetChannel):
            raise DataError("an overview needs a channel that `use_sift_channel` opened.")
        finder = Finder(opened, asset)
        question["channel_id"] = finder.channel_id(channel)
        run_id = finder.run_id(run)
        if run_id is not None:
            question["run_id"] = run_id
        with opened.answers().ask(OVERVIEW_PATH, question) as answer:
            ((schema, batch),) = arrow_batches(answer)
    about = json.loads(schema.metadata[_ABOUT_KEY])
    return Overview(
        about["channel"],
        about["asset"],
        about["data_type"],
        about["unit"],
        {key: name for name, key in about["enum_types"]},
        about["bucket_ns"],
        pa.Table.from_batches([batch]),
    )
