"""Declares the rules of the release's examples, and streams what each of them is there for.

    python stream_rules_of_the_release.py HOST:PORT API_KEY

Runs with any client library of this API. The rules come from YAML, two of them by named
expressions. It prints the id of the asset and the rules that the server has then. One row a second
follows, see `ROWS`; `test_published_client_rules.py` knows what comes of it.
"""

import json
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sift.rules.v1.rules_pb2 import ViewJsonRulesRequest
from sift.rules.v1.rules_pb2_grpc import RuleServiceStub
from sift_py.grpc.transport import SiftChannelConfig, _use_insecure_sift_channel
from sift_py.ingestion.channel import double_value, enum_value, string_value
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.service import IngestionService

START = datetime(2024, 7, 1, 12, 0, 0, tzinfo=UTC)

EXPRESSIONS = """
kinetic_energy_gt: 0.5 * $mass * $1 * $1 > $threshold
log_substring_contains: contains($1, $sub_string)
"""
CONFIG = """
asset_name: NostromoLV426
ingestion_client_key: nostromo_lv_426
channels:
  log: &log
    name: log
    data_type: string
    description: asset logs
  velocity: &velocity
    name: velocity
    data_type: double
    unit: Miles Per Hour
    component: mainmotor
  voltage: &voltage
    name: voltage
    data_type: double
    unit: Volts
  vehicle_state: &vehicle_state
    name: vehicle_state
    data_type: enum
    enum_types:
      - {name: Accelerating, key: 0}
      - {name: Decelerating, key: 1}
      - {name: Stopped, key: 2}
flows:
  - name: readings
    channels: [*velocity, *voltage, *vehicle_state]
  - name: logs
    channels: [*log]
rules:
  - name: overvoltage
    description: Checks for overvoltage while accelerating
    expression: $1 == "Accelerating" && $2 > 80
    type: review
    assignee: ellen.ripley@weylandcorp.com
    tags: [motor, power]
    channel_references:
      - $1: *vehicle_state
      - $2: *voltage
  - name: too_fast
    expression: $1 > 400
    type: phase
    channel_references:
      - $1: *velocity
  - name: kinetic_energy
    description: Tracks high energy output while in motion
    expression: {name: kinetic_energy_gt}
    type: review
    tags: [nostromo]
    channel_references:
      - $1: *velocity
    sub_expressions:
      - $mass: 10
      - $threshold: 470
  - name: failure
    description: Checks for failures
    expression: {name: log_substring_contains}
    type: review
    channel_references:
      - $1: *log
    sub_expressions:
      - $sub_string: ERROR
"""
# Velocity, voltage, state, and what is logged.
ROWS = [
    (0.0, 60.0, 2, "INFO ready"),
    (9.0, 81.0, 0, "INFO go"),
    (10.0, 90.0, 0, None),
    (300.0, 80.0, 0, "ERROR too fast"),
    (401.0, 90.0, 1, "ERROR much too fast"),
    (450.0, 70.0, 1, "INFO slower"),
    (400.0, 60.0, 1, None),
    (0.0, 60.0, 2, "INFO stopped"),
]


def flows(second, velocity, voltage, state, line):
    """What is sent of a row: the log has a flow of its own, and says something now and then."""
    timestamp = START + timedelta(seconds=second)
    yield {
        "flow_name": "readings",
        "timestamp": timestamp,
        "channel_values": [
            {
                "channel_name": "velocity",
                "component": "mainmotor",
                "value": double_value(velocity),
            },
            {"channel_name": "voltage", "value": double_value(voltage)},
            {"channel_name": "vehicle_state", "value": enum_value(state)},
        ],
    }
    if line is not None:
        yield {
            "flow_name": "logs",
            "timestamp": timestamp,
            "channel_values": [{"channel_name": "log", "value": string_value(line)}],
        }


with tempfile.TemporaryDirectory() as folder:
    config_path, expressions_path = Path(folder, "nostromo.yml"), Path(folder, "expressions.yml")
    config_path.write_text(CONFIG)
    expressions_path.write_text(EXPRESSIONS)
    config = TelemetryConfig.try_from_yaml(config_path, [expressions_path])
uri, key = sys.argv[1:]
with _use_insecure_sift_channel(SiftChannelConfig(uri=uri, apikey=key)) as channel:
    IngestionService(channel, config)
    # As every start of a program does it.
    service = IngestionService(channel, config, overwrite_rules=True)
    asset_id = service.ingestion_config.asset_id
    stored = RuleServiceStub(channel).ViewJsonRules(ViewJsonRulesRequest(asset_id=asset_id))
    for second, row in enumerate(ROWS):
        service.try_ingest_flows(*flows(second, *row))
print(json.dumps({"asset_id": asset_id, "rules": json.loads(stored.rules_json)}))
