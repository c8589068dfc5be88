"""What the columns of a table are, as its schema says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

__all__ = ["RUN", "TIME", "WrittenChannel", "channels_of"]

TIME = "time"
RUN = "run"


@dataclass(frozen=True, slots=True)
class WrittenChannel:
    """A column with the values of a channel.

    Attributes:
        column: Number of the column.
        name: Of the channel.
        kind: Its Arrow type; an enum's is a dictionary of names.
        data_type: Name of its data type, such as `DOUBLE`.
        unit: Of the channel, or an empty string.
        states: Keys by name, of an enum.
    """

    column: int
    name: str
    kind: Any
    data_type: str
    unit: str
    states: dict[str, int]

    @property
    def attributes(self) -> dict[str, str]:
        """What a file may say of it, as texts, without what there is not."""
        states = json.dumps(self.states, ensure_ascii=False) if self.states else ""
        texts = {
            "channel": self.name,
            "data_type": self.data_type,
            "unit": self.unit,
            "enum_types": states,
        }
        return {key: text for key, text in texts.items() if text}


def channels_of(schema: Any) -> list[WrittenChannel]:  # noqa: ANN401 (pyarrow has no types)
    """The channels of a wide table: every column but those of times and runs."""
    found = []
    for number, field in enumerate(schema):
        about = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        if number == 0 or is_run(number, field):
            continue
        states = json.loads(about.get("enum_types", "{}"))
        data_type, unit = about.get("data_type", ""), about.get("unit", "")
        name = about.get("channel", field.name)
        found.append(WrittenChannel(number, name, field.type, data_type, unit, states))
    return found


def is_run(number: int, field: Any) -> bool:  # noqa: ANN401
    """Whether a column says which run a row is of."""
    return number == 1 and field.name == RUN and b"data_type" not in (field.metadata or {})
