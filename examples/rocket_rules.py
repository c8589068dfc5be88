"""What to look for in a rocket flight, as rules; and what they found, in seconds from lift-off."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sift.annotations.v1 import annotations_pb2
from sift_py.ingestion.rule.config import (
    RuleActionCreateDataReviewAnnotation,
    RuleActionCreatePhaseAnnotation,
    RuleConfig,
)
from sift_server.demo.summary import plain_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from sift.annotations.v1.annotations_pb2 import Annotation

NS_PER_S = 1_000_000_000


class FlightRule(NamedTuple):
    """A rule over columns of the file, `$1` and so on in their order."""

    name: str
    description: str
    expression: str
    columns: tuple[str, ...]
    is_phase: bool = False


FLIGHT_RULES = (
    FlightRule(
        "lift-off",
        "The motor pushes with more than twice its weight",
        '$1 == "boost" && $2 > 20.0',
        ("state", "acceleration"),
        is_phase=True,
    ),
    FlightRule(
        "apogee",
        "It stops climbing: its speed goes through zero",
        '$1 == "drogue" && prev($2) > 0.0 && $2 <= 0.0',
        ("state", "speed"),
        is_phase=True,
    ),
    FlightRule(
        "fast under drogue",
        "It falls with more than 30 m/s",
        '$1 == "drogue" && $2 < -30.0',
        ("state", "speed"),
    ),
    FlightRule("battery sag", "Less than 3.97 V", "$1 < 3.97", ("battery_voltage",)),
    FlightRule("GPS lock lost", "No position", "!$1", ("locked",)),
)


def flight_rules() -> list[RuleConfig]:
    """The rules, for a telemetry config."""
    return [
        RuleConfig(
            name=rule.name,
            description=rule.description,
            expression=rule.expression,
            channel_references=[
                {"channel_reference": f"${number}", "channel_identifier": column}
                for number, column in enumerate(rule.columns, 1)
            ],
            action=RuleActionCreatePhaseAnnotation(tags=["flight"])
            if rule.is_phase
            else RuleActionCreateDataReviewAnnotation(tags=["flight"]),
        )
        for rule in FLIGHT_RULES
    ]


def flight_table(annotations: Sequence[Annotation], lift_off_ns: int) -> Table:
    """What the rules found, in the order of the flight."""
    table = plain_table("What the rules found")
    for heading in ("rule", "makes", "from", "to"):
        table.add_column(heading, justify="right" if heading in ("from", "to") else "left")
    for one in annotations:
        is_phase = one.annotation_type == annotations_pb2.ANNOTATION_TYPE_PHASE
        times = [
            f"T{(time.ToNanoseconds() - lift_off_ns) / NS_PER_S:+.2f} s"
            for time in (one.start_time, one.end_time)
        ]
        table.add_row(one.name, "phase" if is_phase else "review", *times)
    quiet = [
        rule.name for rule in FLIGHT_RULES if rule.name not in {one.name for one in annotations}
    ]
    if quiet:
        table.caption = f"Found nothing: {', '.join(quiet)}"
        table.caption_justify = "left"
    return table
