"""Telemetry configs: what one asset sends, declared in Python or in YAML.

- `sift_py.ingestion.config.telemetry`: the class, for both.
- `sift_py.ingestion.config.yaml`: what the YAML files look like.
"""
