"""What a machine can tell of itself, as rows of flows."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from sift_py.ingestion.channel import (
    ChannelBitFieldElement,
    ChannelConfig,
    ChannelDataType,
    ChannelEnumType,
    ChannelValue,
    bit_field_value,
    bool_value,
    double_value,
    enum_value,
    float_value,
    int32_value,
    int64_value,
    string_value,
    uint64_value,
)
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import Flow, FlowConfig
from sift_py.ingestion.rule.config import RuleActionCreateDataReviewAnnotation, RuleConfig

if TYPE_CHECKING:
    from collections.abc import Callable

_BUSY_PERCENT = 20.0
_SATURATED_PERCENT = 90.0
_MIB = 1024 * 1024

IDLE, BUSY, SATURATED = 0, 1, 2
_STATE_NAMES = ("idle", "busy", "saturated")
_ACTIVITIES = ("receiving", "sending", "reading_disk", "writing_disk")


def processor_config(machine: str) -> TelemetryConfig:
    """Telemetry of the processor, declared in Python."""
    cores = [
        ChannelConfig(f"core{number}", ChannelDataType.DOUBLE, unit="%", component="cpu")
        for number in range(psutil.cpu_count() or 1)
    ]
    state = ChannelConfig(
        "state",
        ChannelDataType.ENUM,
        description="What the processor is up to",
        enum_types=[ChannelEnumType(name, key) for key, name in enumerate(_STATE_NAMES)],
    )
    activity = ChannelConfig(
        "activity",
        ChannelDataType.BIT_FIELD,
        description="What moved since the row before",
        bit_field_elements=[
            ChannelBitFieldElement(name, index, 1) for index, name in enumerate(_ACTIVITIES)
        ],
    )
    total = ChannelConfig("total", ChannelDataType.FLOAT, unit="%", component="cpu")
    busiest = ChannelConfig("busiest", ChannelDataType.DOUBLE, unit="%", component="cpu")
    return TelemetryConfig(
        asset_name=f"{machine}.processor",
        flows=[
            FlowConfig("cpu", [total, busiest, *cores, state]),
            FlowConfig("activity", [activity]),
        ],
        rules=[
            RuleConfig(
                name="core busy",
                description="A core had more than half a second of work in a second",
                expression='avg($1, rolling("1s")) > 50',
                channel_references=[{"channel_reference": "$1", "channel_config": busiest}],
                action=RuleActionCreateDataReviewAnnotation(tags=["load"]),
            ),
            RuleConfig(
                name="processor saturated",
                description="The processor has nothing left to give",
                expression='$1 == "saturated"',
                channel_references=[{"channel_reference": "$1", "channel_config": state}],
                action=RuleActionCreateDataReviewAnnotation(tags=["load"]),
            ),
        ],
    )


def process_flow() -> FlowConfig:
    """A flow about this very process, which no config declares: it is created at run time."""
    channels = [
        ChannelConfig("memory", ChannelDataType.UINT_64, unit="B", component="process"),
        ChannelConfig("threads", ChannelDataType.INT_32, component="process"),
    ]
    channels += [
        ChannelConfig(name, ChannelDataType.DOUBLE, unit="°C", component="temperature")
        for name in _temperatures()
    ]
    return FlowConfig("process", channels)


@dataclass(frozen=True, slots=True)
class _Counters:
    received: int
    sent: int
    read: int
    written: int


class Machine:
    """Samples the machine. Each method gives one row; rates are per second since its last call."""

    def __init__(self, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._clock_ns = clock_ns
        self._process = psutil.Process()
        self._started_ns = self._last_ns = clock_ns()
        self._counters = _counters()
        self._rates = _Counters(0, 0, 0, 0)
        self._cores = psutil.cpu_percent(percpu=True)

    def cpu(self) -> Flow:
        """Load of all cores."""
        self._cores = psutil.cpu_percent(percpu=True)
        total = sum(self._cores) / len(self._cores)
        state = SATURATED if total >= _SATURATED_PERCENT else int(total >= _BUSY_PERCENT)
        values: list[ChannelValue] = [
            {"channel_name": "total", "component": "cpu", "value": float_value(total)},
            {
                "channel_name": "busiest",
                "component": "cpu",
                "value": double_value(max(self._cores)),
            },
            {"channel_name": "state", "value": enum_value(state)},
        ]
        for number, percent in enumerate(self._cores):
            value = double_value(percent)
            values.append({"channel_name": f"core{number}", "component": "cpu", "value": value})
        return self._row("cpu", values)

    def activity(self) -> Flow:
        """Which of network and disk moved."""
        now_ns = self._clock_ns()
        seconds = max(now_ns - self._last_ns, 1) / 1e9
        before, self._counters, self._last_ns = self._counters, _counters(), now_ns
        moved = [
            max(0, getattr(self._counters, name) - getattr(before, name))
            for name in ("received", "sent", "read", "written")
        ]
        self._rates = _Counters(*(int(count / seconds) for count in moved))
        bits = sum(1 << index for index, count in enumerate(moved) if count)
        value = bit_field_value(bytes([bits]))
        return self._row("activity", [{"channel_name": "activity", "value": value}])

    def memory(self) -> Flow:
        """Memory and load, for the flow that the YAML config declares."""
        memory, swap = psutil.virtual_memory(), psutil.swap_memory()
        return self._row(
            "memory",
            [
                {"channel_name": "used", "component": "memory", "value": uint64_value(memory.used)},
                {
                    "channel_name": "available",
                    "component": "memory",
                    "value": uint64_value(memory.available),
                },
                {"channel_name": "swapping", "value": bool_value(swap.used > 0)},
                {"channel_name": "load", "value": double_value(os.getloadavg()[0])},
            ],
        )

    def traffic(self) -> Flow:
        """Rates of network and disk as of the last `activity`."""
        rates = self._rates
        return self._row(
            "traffic",
            [
                {"channel_name": name, "component": component, "value": int64_value(rate)}
                for component, name, rate in (
                    ("network", "received", rates.received),
                    ("network", "sent", rates.sent),
                    ("disk", "read", rates.read),
                    ("disk", "written", rates.written),
                )
            ],
        )

    def log(self, *, is_exercising: bool) -> Flow:
        """A line of text, as a program would log it."""
        cores = self._cores
        used = psutil.virtual_memory().used // _MIB
        line = (
            f"{(self._clock_ns() - self._started_ns) / 1e9:.1f} s: {sum(cores) / len(cores):.0f} %"
            f" of {len(cores)} cores, {used} MiB used{', exercising' if is_exercising else ''}"
        )
        return self._row("log", [{"channel_name": "log", "value": string_value(line)}])

    def process(self) -> Flow:
        """This process, and the machine's temperatures where it tells them."""
        with self._process.oneshot():
            memory, threads = self._process.memory_info().rss, self._process.num_threads()
        values: list[ChannelValue] = [
            {"channel_name": "memory", "component": "process", "value": uint64_value(memory)},
            {"channel_name": "threads", "component": "process", "value": int32_value(threads)},
        ]
        for name, degrees in _temperatures().items():
            value = double_value(degrees)
            values.append({"channel_name": name, "component": "temperature", "value": value})
        return self._row("process", values)

    def _row(self, flow_name: str, values: list[ChannelValue]) -> Flow:
        return {"flow_name": flow_name, "timestamp": self._clock_ns(), "channel_values": values}


def _counters() -> _Counters:
    network, disk = psutil.net_io_counters(), psutil.disk_io_counters()
    return _Counters(
        network.bytes_recv if network else 0,
        network.bytes_sent if network else 0,
        disk.read_bytes if disk else 0,
        disk.write_bytes if disk else 0,
    )


def _temperatures() -> dict[str, float]:
    """Degrees Celsius by sensor; empty where the machine tells none."""
    if not hasattr(psutil, "sensors_temperatures"):
        return {}
    return {
        f"{chip}{number}": sensor.current
        for chip, sensors in psutil.sensors_temperatures().items()
        for number, sensor in enumerate(sensors)
    }
