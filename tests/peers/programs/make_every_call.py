"""Makes every call of the client API once or more; runs with any client library of this API.

    python make_every_call.py HOST:PORT API_KEY

Nothing in it depends on the clock, so that two libraries that do the same send the same.
"""

import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sift_py.grpc.transport import SiftChannelConfig, _use_insecure_sift_channel
from sift_py.ingestion.channel import (
    ChannelBitFieldElement,
    ChannelConfig,
    ChannelDataType,
    ChannelEnumType,
    bit_field_value,
    bool_value,
    double_value,
    empty_value,
    enum_value,
    float_value,
    int32_value,
    int64_value,
    string_value,
    uint32_value,
    uint64_value,
)
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.manager import IngestionServicesManager
from sift_py.ingestion.rule.config import (
    RuleActionCreateDataReviewAnnotation,
    RuleActionCreatePhaseAnnotation,
    RuleConfig,
)
from sift_py.ingestion.service import IngestionService

START = datetime(2024, 7, 1, 12, 0, 0, 123456, tzinfo=UTC)

VALUES = {
    "double": (ChannelDataType.DOUBLE, [double_value(each) for each in (0.0, -0.0, 1e300, 3)]),
    "float": (ChannelDataType.FLOAT, [float_value(each) for each in (0.0, -1.5, 1e30, 7)]),
    "string": (
        ChannelDataType.STRING,
        [string_value(each) for each in ("", "✓", "a\nb", "x" * 300)],
    ),
    "bool": (ChannelDataType.BOOL, [bool_value(each) for each in (True, False, True, False)]),
    "int32": (ChannelDataType.INT_32, [int32_value(each) for each in (0, -1, -(2**31), 2**31 - 1)]),
    "uint32": (ChannelDataType.UINT_32, [uint32_value(each) for each in (0, 1, 300, 2**32 - 1)]),
    "int64": (ChannelDataType.INT_64, [int64_value(each) for each in (0, -1, -(2**63), 2**63 - 1)]),
    "uint64": (ChannelDataType.UINT_64, [uint64_value(each) for each in (0, 1, 2**40, 2**64 - 1)]),
    "enum": (ChannelDataType.ENUM, [enum_value(each) for each in (0, 1, 0, 1)]),
    "bits": (
        ChannelDataType.BIT_FIELD,
        [bit_field_value(bytes([each])) for each in (0, 1, 9, 255)],
    ),
}
CHANNELS = {
    name: ChannelConfig(
        name=name,
        data_type=data_type,
        description="a channel of type %s" % name,
        unit="V" if name == "double" else "",
        component="board.left" if name in ("float", "int64") else "",
        enum_types=[ChannelEnumType("Idle", 0), ChannelEnumType("Armed", 1)]
        if name == "enum"
        else [],
        bit_field_elements=[
            ChannelBitFieldElement("low", 0, 3),
            ChannelBitFieldElement("high", 3, 5),
        ]
        if name == "bits"
        else [],
    )
    for name, (data_type, _) in VALUES.items()
}
RULES = [
    RuleConfig(
        name="review",
        description="A review with everything",
        expression='$1 == "Armed" && $2 > $3',
        channel_references=[
            {"channel_reference": "$1", "channel_config": CHANNELS["enum"]},
            {"channel_reference": "$2", "channel_config": CHANNELS["float"]},
        ],
        action=RuleActionCreateDataReviewAnnotation(assignee="me@example.com", tags=["a", "b"]),
        sub_expressions={"$3": 80},
    ),
    RuleConfig(
        name="bare review",
        description="",
        expression="$1 > 10",
        channel_references=[{"channel_reference": "$1", "channel_identifier": "double"}],
        action=RuleActionCreateDataReviewAnnotation(),
    ),
    RuleConfig(
        name="phase",
        description="A phase",
        expression='contains($1, "failure")',
        channel_references=[{"channel_reference": "$1", "channel_config": CHANNELS["string"]}],
        action=RuleActionCreatePhaseAnnotation(tags=["c"]),
    ),
]

EXPRESSIONS = """
too_hot: $1 > $limit && $3 == "Hot"
failed: contains($1, "failure")
"""
IN_YAML = """
asset_name: in yaml
ingestion_client_key: key in yaml
channels:
  temperature: &temperature
    name: temperature
    description: at the nozzle
    unit: K
    component: engine
    data_type: float
  state: &state
    name: state
    data_type: enum
    enum_types:
      - {name: Cold, key: 0}
      - {name: Hot, key: 1}
  valves: &valves
    name: valves
    data_type: bit_field
    bit_field_elements:
      - {name: main, index: 0, bit_count: 2}
  log: &log
    name: log
    data_type: string
flows:
  - name: engine
    channels: [*temperature, *state, *valves]
  - name: log
    channels: [*log]
rules:
  - name: too hot
    description: Above its limit
    expression: {name: too_hot}
    type: review
    assignee: me@example.com
    tags: [a, b]
    channel_references:
      - $1: *temperature
      - $3: *state
    sub_expressions:
      - $limit: 80
  - name: failed
    expression: {name: failed}
    type: phase
    channel_references:
      - $1: *log
  - name: cold
    expression: $1 == "Cold"
    type: phase
    tags: [c]
    channel_references:
      - $1: *state
"""


def config_from_yaml():
    with tempfile.TemporaryDirectory() as folder:
        config_path, expressions_path = Path(folder, "config.yml"), Path(folder, "expressions.yml")
        config_path.write_text(IN_YAML)
        expressions_path.write_text(EXPRESSIONS)
        return TelemetryConfig.try_from_yaml(config_path, [expressions_path])


def config(asset_name, rules=(), more_flows=()):
    return TelemetryConfig(
        asset_name=asset_name,
        ingestion_client_key="key of " + asset_name,
        flows=[
            FlowConfig("all", list(CHANNELS.values())),
            FlowConfig("log", [CHANNELS["string"]]),
            *more_flows,
        ],
        rules=list(rules),
    )


def named(row, names=tuple(CHANNELS)):
    values = []
    for name in names:
        value = {"channel_name": name, "value": VALUES[name][1][row]}
        if CHANNELS[name].component:
            value["component"] = CHANNELS[name].component
        values.append(value)
    return {
        "flow_name": "all",
        "timestamp": START + timedelta(microseconds=row),
        "channel_values": values,
    }


def ordered(row):
    return {
        "flow_name": "all",
        "timestamp": START + timedelta(seconds=1, microseconds=row),
        "channel_values": [values[row] if row else empty_value() for _, values in VALUES.values()],
    }


uri, key = sys.argv[1:]
with _use_insecure_sift_channel(SiftChannelConfig(uri=uri, apikey=key)) as channel:
    service = IngestionService(channel, config("lander", RULES))
    # The same asset again: its config and its rules are there, and a flow is new.
    new_flow = FlowConfig("new", [CHANNELS["double"]])
    service = IngestionService(channel, config("lander", RULES, [new_flow]), overwrite_rules=True)
    strict = IngestionService(channel, config("rover"), run_id="run-0", end_stream_on_error=True)

    service.ingest(service.try_create_ingestion_request(**named(0)))
    service.ingest(
        service.create_ingestion_request(**ordered(1)),
        strict.create_ingestion_request(**ordered(2)),
    )
    service.ingest()
    service.attach_run(channel, "hot fire", description="a run", tags=["test", "engine"])
    service.try_ingest_flows(named(1), named(2, ("bits", "float", "string")), named(3, ()))
    service.ingest_flows(ordered(0), ordered(3))
    service.detach_run()
    service.attach_run(channel, "hot fire")
    with service.buffered_ingestion() as buffered:
        for row in range(1500):
            buffered.try_ingest_flows(named(row % 4))
    with service.buffered_ingestion(7) as buffered:
        buffered.ingest_flows(*[ordered(row % 4) for row in range(20)])
        buffered.flush()
        buffered.try_ingest_flows(named(1))
    service.detach_run()
    service.try_create_flow(FlowConfig("made", [CHANNELS["uint64"], CHANNELS["enum"]]))
    service.create_flow(FlowConfig("made too", [CHANNELS["bits"]]))
    service.ingest_flows(
        {
            "flow_name": "made",
            "timestamp": START,
            "channel_values": [uint64_value(5), enum_value(1)],
        }
    )
    IngestionService(channel, config_from_yaml())

    manager = IngestionServicesManager.from_telemetry_configs(
        channel, {"lander": config("lander"), "other": config("other")}
    )
    with manager.ingestion_service("other") as other:
        other.try_ingest_flows(named(3))
    manager["lander"].try_ingest_flows(named(2))
