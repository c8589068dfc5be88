"""Telemetry configs and modules of named expressions as YAML files."""
