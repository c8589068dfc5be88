"""Telemetry configs: what one asset sends, declared in Python or in YAML."""
