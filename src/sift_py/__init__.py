"""Stream telemetry."""
