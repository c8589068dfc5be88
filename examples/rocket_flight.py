"""Replay a rocket flight that a TeleMega flight computer logged, and check every point of it.

    python examples/rocket_flight.py rocket_flight_telemega.csv
    python examples/rocket_flight.py rocket_flight_telemega.csv --uri http://127.0.0.1:50051

Every column becomes a channel of the type that it has; the channels are grouped into flows as they
are sampled together. Then everything is read back and compared with the file, value by value. Rules
(`rocket_rules.py`) watch the flight: lift-off, apogee, falling too fast, a weak battery, no GPS.

Time. The file counts seconds from lift-off, in hundredths. The GPS columns carry the UTC date and
time, but only whole seconds, and as of the last fix: at every row the true time is at or behind
what they say. So lift-off was at the largest difference between GPS time and row time that any row
shows. All of it is integer arithmetic, in nanoseconds.
"""

from __future__ import annotations

import argparse
import calendar
import csv
import math
import os
import struct
import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rocket_rules import flight_rules, flight_table

from sift_py.data import read_channels
from sift_py.grpc.transport import use_sift_channel
from sift_py.ingestion.channel import (
    ChannelConfig,
    ChannelDataType,
    ChannelEnumType,
    ChannelValue,
    bool_value,
    double_value,
    enum_value,
    int32_value,
    string_value,
    uint32_value,
)
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import Flow, FlowConfig
from sift_py.ingestion.service import IngestionService
from sift_server.demo.summary import table_of
from sift_server.readback import wait_for_annotations

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sift_py.data import ChannelReadings
    from sift_py.grpc.transport import SiftChannel, SiftChannelConfig

NS_PER_S = 1_000_000_000

DOUBLE, STRING, ENUM = ChannelDataType.DOUBLE, ChannelDataType.STRING, ChannelDataType.ENUM
BOOL, INT_32, UINT_32 = ChannelDataType.BOOL, ChannelDataType.INT_32, ChannelDataType.UINT_32

STATES = {"boost": 3, "coast": 5, "drogue": 6, "main": 7, "landed": 8}

# Flows, as a flight engineer would look at them: (column, data type, unit).
FLOWS: dict[str, list[tuple[str, ChannelDataType, str]]] = {
    "identity": [
        ("version", INT_32, ""), ("serial", INT_32, ""), ("flight", INT_32, ""),
        ("call", STRING, ""),
    ],
    "state": [("time", DOUBLE, "s"), ("state", ENUM, ""), ("state_name", STRING, "")],
    "barometer": [
        ("pressure", DOUBLE, "Pa"), ("barometer.altitude", DOUBLE, "m"), ("height", DOUBLE, "m"),
        ("speed", DOUBLE, "m/s"), ("temperature", DOUBLE, "°C"),
    ],
    "imu": [
        ("acceleration", DOUBLE, "m/s²"),
        *((f"accel_{axis}", DOUBLE, "g") for axis in "xyz"),
        *((f"gyro_{axis}", DOUBLE, "°/s") for axis in ("roll", "pitch", "yaw")),
        *((f"mag_{axis}", DOUBLE, "G") for axis in "xyz"),
        ("tilt", DOUBLE, "°"),
    ],
    "pyro": [
        ("drogue_voltage", DOUBLE, "V"), ("main_voltage", DOUBLE, "V"), ("pyro", DOUBLE, "V"),
        *((f"igniter_{name}", DOUBLE, "V") for name in "abcd"),
    ],
    "power": [("battery_voltage", DOUBLE, "V")],
    "gps": [
        ("connected", BOOL, ""), ("locked", BOOL, ""), ("nsat", UINT_32, ""),
        ("latitude", DOUBLE, "°"), ("longitude", DOUBLE, "°"), ("gps.altitude", DOUBLE, "m"),
        ("pdop", DOUBLE, ""), ("hdop", DOUBLE, ""), ("vdop", DOUBLE, ""),
        *((name, INT_32, "") for name in ("year", "month", "day", "hour", "minute", "second")),
    ],
    "pad": [
        ("pad_dist", INT_32, "m"), ("pad_range", INT_32, "m"),
        ("pad_az", INT_32, "°"), ("pad_el", INT_32, "°"),
    ],
    "satellites": [(f"sat{number:02}", UINT_32, "dBHz") for number in range(1, 33)],
}  # fmt: skip

# How a cell becomes a Python value, and a Python value one for the wire.
PARSE: dict[ChannelDataType, Callable[[str], Any]] = {
    DOUBLE: float, STRING: str, ENUM: int, BOOL: lambda cell: cell != "0",
    INT_32: int, UINT_32: int,
}  # fmt: skip
TYPED: dict[ChannelDataType, Callable[[Any], Any]] = {
    DOUBLE: double_value, STRING: string_value, ENUM: enum_value, BOOL: bool_value,
    INT_32: int32_value, UINT_32: uint32_value,
}  # fmt: skip


class NoFlightError(Exception):
    """The file is not a TeleMega log."""


def read_flight(path: Path) -> dict[str, list[str]]:
    """Columns of the file by name; the second column called `altitude` is the GPS's."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = [[cell.strip() for cell in row] for row in csv.reader(file)]
    except (OSError, ValueError) as error:
        raise NoFlightError(f"{path} can't be read: {error}") from None
    names = [name.removeprefix("#") for name in header]
    altitudes = iter(("barometer.altitude", "gps.altitude"))
    names = [next(altitudes, name) if name == "altitude" else name for name in names]
    wanted = [column for columns in FLOWS.values() for column, _, _ in columns]
    missing = sorted(set(wanted) - set(names))
    if missing or not rows or any(len(row) != len(names) for row in rows):
        raise NoFlightError(
            f"{path} is not a TeleMega log of 82 columns"
            + (f": it has no column {', '.join(missing)}" if missing else "")
        )
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def timestamps_ns(columns: dict[str, list[str]]) -> list[int]:
    """Absolute time of each row."""
    start_ns = lift_off_ns(columns)
    return [start_ns + since for since in since_lift_off_ns(columns)]


def since_lift_off_ns(columns: dict[str, list[str]]) -> list[int]:
    """Time of each row, from lift-off."""
    return [int(Decimal(cell) * NS_PER_S) for cell in columns["time"]]


def lift_off_ns(columns: dict[str, list[str]]) -> int:
    """Absolute time of lift-off."""
    parts = zip(
        *(map(int, columns[name]) for name in ("year", "month", "day", "hour", "minute", "second")),
        strict=True,
    )
    gps_ns = [calendar.timegm(each) * NS_PER_S for each in parts]
    return max(gps - since for gps, since in zip(gps_ns, since_lift_off_ns(columns), strict=True))


def telemetry_config() -> TelemetryConfig:
    """The rocket, declared."""
    return TelemetryConfig(
        asset_name="rocket",
        ingestion_client_key="rocket-flight-telemega-1",
        flows=[
            FlowConfig(
                flow,
                [
                    ChannelConfig(
                        column.rpartition(".")[2],
                        data_type,
                        unit=unit,
                        component=column.rpartition(".")[0] or None,
                        enum_types=[ChannelEnumType(name, key) for name, key in STATES.items()]
                        if data_type is ENUM
                        else [],
                    )
                    for column, data_type, unit in columns
                ],
            )
            for flow, columns in FLOWS.items()
        ],
        rules=flight_rules(),
    )


def parsed(cell: str, data_type: ChannelDataType) -> Any:  # noqa: ANN401 (of the data type)
    """A cell as a value, or None where the file says that there is none."""
    value = PARSE[data_type](cell)
    return None if isinstance(value, float) and math.isnan(value) else value


def rows(columns: dict[str, list[str]], times: Sequence[int], index: int) -> list[Flow]:
    """All flows of one row of the file."""
    flows: list[Flow] = []
    for flow_name, channels in FLOWS.items():
        values: list[ChannelValue] = []
        for column, data_type, _ in channels:
            value = parsed(columns[column][index], data_type)
            if value is None:
                continue
            component, _, name = column.rpartition(".")
            one: ChannelValue = {"channel_name": name, "value": TYPED[data_type](value)}
            if component:
                one["component"] = component
            values.append(one)
        flows.append({"flow_name": flow_name, "timestamp": times[index], "channel_values": values})
    return flows


def comparable(time_ns: int, value: Any) -> tuple[int, Any]:  # noqa: ANN401 (any value)
    """A point that equals another one only if all its bits do."""
    return time_ns, struct.pack("<d", value) if isinstance(value, float) else value


def differences(
    columns: dict[str, list[str]], times: Sequence[int], series: dict[str, ChannelReadings]
) -> tuple[int, list[str]]:
    """Number of points that the file has, and what is wrong with those that were read.

    Rows that repeat time and value are one point.
    """
    total = 0
    problems = []
    for channels in FLOWS.values():
        for column, data_type, _ in channels:
            cells = (parsed(cell, data_type) for cell in columns[column])
            expected = {
                comparable(time_ns, value)
                for time_ns, value in zip(times, cells, strict=True)
                if value is not None
            }
            found = series.get(column)
            read = (
                [
                    comparable(*point)
                    for point in zip(
                        found.timestamps_ns.tolist(), found.values.to_pylist(), strict=True
                    )
                ]
                if found
                else []
            )
            total += len(expected)
            if len(read) != len(expected) or set(read) != expected:
                problems.append(f"{column}: {len(expected)} points in the file, {len(read)} read")
    return total, problems


def replay(channel: SiftChannel, path: Path, console: Console) -> int:
    """Stream the flight, read it back, compare; returns the exit status."""
    columns = read_flight(path)
    times = timestamps_ns(columns)
    service = IngestionService(channel, telemetry_config())
    service.attach_run(channel, f"replay of {path.name}")
    with (
        console.status("streaming"),
        service.buffered_ingestion() as buffered,
    ):
        for index in range(len(times)):
            buffered.try_ingest_flows(*rows(columns, times, index))
    with console.status("reading back"):
        found = list(read_channels("rocket", run=service.run_id, source=channel))
    console.print(table_of(found, f"{path.name}: {len(times):,} rows"))
    asset_id = service.ingestion_config.asset_id
    annotations = wait_for_annotations(channel, service.run_id or "", [asset_id])
    console.print(flight_table(annotations, lift_off_ns(columns)))
    names = {series.name: series for series in found}
    total, problems = differences(columns, times, names)
    for problem in problems:
        console.print(f"[red]{problem}[/red]")
    if problems:
        return 1
    repeated = len(times) - len(set(times))
    empty = [
        column for channels in FLOWS.values() for column, *_ in channels if column not in names
    ]
    console.print(
        f"{repeated:,} rows repeat the time of another; equal values at one time are one point."
        f" Without any value: {', '.join(empty) or 'no column'}."
    )
    console.print(f"[bold green]{total:,} of {total:,} points equal[/bold green]")
    return 0


def main() -> int:
    """Read the command line and replay."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("csv", type=Path, help="log of a TeleMega, as comma-separated values")
    target = parser.add_mutually_exclusive_group()
    target.add_argument(
        "--data-dir", default="rocket-telemetry", help="folder to keep it in (%(default)s)"
    )
    target.add_argument(
        "--uri", help="server to stream to instead; its key is taken from SIFT_API_KEY"
    )
    arguments = parser.parse_args()
    config: SiftChannelConfig = {
        "uri": arguments.uri or f"embedded:{arguments.data_dir}",
        "apikey": os.environ.get("SIFT_API_KEY", ""),
    }
    try:
        with use_sift_channel(config) as channel:
            return replay(channel, arguments.csv, Console())
    except NoFlightError as error:
        print(f"rocket_flight: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
