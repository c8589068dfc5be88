"""Declaring what an asset sends, and sending it.

- `sift_py.ingestion.channel`: channels, data types, typed values.
- `sift_py.ingestion.flow`: flows, the channels that are sampled together.
- `sift_py.ingestion.rule.config`: rules over channels.
- `sift_py.ingestion.config.telemetry`: the telemetry config that holds them, in Python or YAML.
- `sift_py.ingestion.service`: the service that sends rows of a telemetry config's flows.
- `sift_py.ingestion.buffer`: buffered ingestion, which sends many rows at once.
- `sift_py.ingestion.manager`: the services of several telemetry configs.
"""
