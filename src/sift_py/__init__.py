"""Stream telemetry: declare what an asset sends, then send it.

An *asset* has *channels*, signals with a name and a data type. Channels that are sampled together
make a *flow*; a row of a flow is one value for each of its channels, at one time. A *telemetry
config* declares an asset's flows and its *rules*; an *ingestion service* registers it with a server
and sends rows. Rows may belong to a *run*, a named stretch of time.

This program is complete. It streams to a folder: nothing else has to run, only `sift-py[server]` be
installed. To stream to a server instead, change the URI and set the API key.

```python
import math
import os
from datetime import datetime, timezone

from sift_py.grpc.transport import SiftChannelConfig, use_sift_channel
from sift_py.ingestion.channel import (
    ChannelConfig,
    ChannelDataType,
    ChannelEnumType,
    double_value,
    enum_value,
    string_value,
)
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.rule.config import RuleActionCreateDataReviewAnnotation, RuleConfig
from sift_py.ingestion.service import IngestionService

velocity = ChannelConfig("velocity", ChannelDataType.DOUBLE, unit="m/s", component="mainmotor")
state = ChannelConfig(
    "vehicle_state",
    ChannelDataType.ENUM,
    enum_types=[ChannelEnumType("Idle", 0), ChannelEnumType("Accelerating", 1)],
)
log = ChannelConfig("log", ChannelDataType.STRING)

telemetry_config = TelemetryConfig(
    asset_name="NostromoLV426",
    ingestion_client_key="nostromo-1",
    flows=[FlowConfig("readings", [velocity, state]), FlowConfig("logs", [log])],
    rules=[
        RuleConfig(
            name="overspeed",
            description="The vehicle accelerates when it is fast already.",
            expression='$1 == "Accelerating" && $2 > $limit',
            channel_references=[
                {"channel_reference": "$1", "channel_config": state},
                {"channel_reference": "$2", "channel_config": velocity},
            ],
            sub_expressions={"$limit": 80},
            action=RuleActionCreateDataReviewAnnotation(tags=["motor"]),
        ),
    ],
)

channel_config = SiftChannelConfig(
    uri=os.environ.get("SIFT_URI", "embedded:./telemetry"),
    apikey=os.environ.get("SIFT_API_KEY", ""),
)
with use_sift_channel(channel_config) as channel:
    service = IngestionService(channel, telemetry_config)
    service.attach_run(channel, "hot fire 12")

    # Rows are sent a thousand at a time, and what is left when the with-block ends.
    with service.buffered_ingestion() as buffered_ingestion:
        for step in range(100):
            buffered_ingestion.try_ingest_flows(
                {
                    "flow_name": "readings",
                    "timestamp": datetime.now(timezone.utc),
                    "channel_values": [
                        {
                            "channel_name": "velocity",
                            "component": "mainmotor",
                            "value": double_value(50 + 40 * math.sin(step / 10)),
                        },
                        {"channel_name": "vehicle_state", "value": enum_value(step % 2)},
                    ],
                },
                {
                    "flow_name": "logs",
                    "timestamp": datetime.now(timezone.utc),
                    "channel_values": [
                        {"channel_name": "log", "value": string_value(f"INFO: step {step}")},
                    ],
                },
            )
```

Where to go on:

- `sift_py.grpc.transport`: channels to a server or a folder.
- `sift_py.ingestion.channel`, `sift_py.ingestion.flow`: channels, data types, typed values, flows.
- `sift_py.ingestion.config.telemetry`: telemetry configs. `sift_py.ingestion.config.yaml`: the same
  as YAML files.
- `sift_py.ingestion.rule.config`: rules.
- `sift_py.ingestion.service`: sending rows, making flows on the fly, attaching runs.
  `sift_py.ingestion.buffer`: sending many at once. `sift_py.ingestion.manager`: several telemetry
  configs in one program.
- `sift_py.errors`: everything that is raised, in one tree.
"""
