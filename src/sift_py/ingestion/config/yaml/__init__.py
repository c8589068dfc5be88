"""Telemetry configs as YAML files.

A telemetry config, here `telemetry.yml`:

```yaml
asset_name: NostromoLV426
ingestion_client_key: nostromo-1  # derived when left out

# Only a place for anchors: channels that flows and rules share.
channels:
  velocity: &velocity
    name: velocity
    component: mainmotor
    data_type: double
    unit: m/s
    description: Speed over ground
  vehicle_state: &vehicle_state
    name: vehicle_state
    data_type: enum
    enum_types:
      - {name: Idle, key: 0}
      - {name: Accelerating, key: 1}
  gpio: &gpio
    name: gpio
    data_type: bit_field
    bit_field_elements:
      - {name: heater, index: 0, bit_count: 1}
      - {name: pump, index: 1, bit_count: 7}

flows:
  - name: readings
    channels:
      - <<: *velocity
      - <<: *vehicle_state
      - <<: *gpio
  - name: logs
    channels:
      - name: log
        data_type: string

rules:
  - name: overspeed
    description: The vehicle accelerates when it is fast already.
    expression: $1 == "Accelerating" && $2 > 80
    type: review  # or `phase`
    assignee: me@example.com
    tags: [motor]
    channel_references:
      - $1: *vehicle_state
      - $2: *velocity
  - name: heard_error
    type: phase
    expression:
      name: log_contains  # a named expression
    channel_references:
      - $1: {name: log, data_type: string}
    sub_expressions:
      - $word: ERROR
```

A module of named expressions, here `expressions.yml`, which many telemetry configs may share:

```yaml
log_contains: contains($1, $word)
```

Both are read by

```python
TelemetryConfig.try_from_yaml(Path("telemetry.yml"), [Path("expressions.yml")])
```

Data types are `double`, `string`, `enum`, `bit_field`, `bool`, `float`, `int32`, `int64`, `uint32`
and `uint64`. `sub_expressions` fill in the placeholders of any expression, named or written out;
their values become CEL: a text is quoted. Keys that are not known are ignored.
"""
