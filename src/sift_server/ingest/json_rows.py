"""Rows of the schemaless JSON of `POST /api/v2/ingest`, read and checked; no catalog, no clock.

```json
{"asset_name": "rover", "run_id": "...", "organization_id": "...", "data": [
    {"timestamp": "2026-01-31T13:00:00.123456789+01:00",
     "values": [{"channel": "speed", "value": 1.5}, {"channel": "state", "value": "idle"}]}]}
```

`run_id` and `organization_id` may be left out. Whatever is not expected is refused, with the number
of its row, the first being 1: a word that nobody reads may be the one that was meant to matter.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from sift_server.errors import InvalidArgumentError
from sift_wire.kernels import RUN_ID_BYTES_MAX, SECONDS_MAX, SECONDS_MIN

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

JsonValue = bool | int | float | str

_TIMESTAMP = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?(?:([Zz])|([+-])(\d\d):(\d\d))",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NS_PER_S = 1_000_000_000
_NS_DIGITS = 9
_HOURS, _MINUTES = 24, 60
_SHOWN_CHARS = 60


@dataclass(frozen=True, slots=True)
class JsonRow:
    """Values of one time, by channel: at least one."""

    timestamp_ns: int
    values: dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class JsonBatch:
    """Rows of one asset, and of one run if `run_id` is not empty."""

    asset_name: str
    run_id: str
    organization_id: str
    rows: list[JsonRow]


def read_rows(body: bytes) -> JsonBatch:
    """Read a request.

    Raises:
        InvalidArgumentError: It is not JSON, or not of this shape; says where.
    """
    try:
        document = json.loads(body, parse_constant=_refuse_constant)
    except ValueError as error:
        raise InvalidArgumentError(f"the body is not JSON: {error}") from None
    except RecursionError:
        raise InvalidArgumentError("the body is nested too deeply") from None
    given = _object(document, "the body", {"asset_name", "data"}, {"run_id", "organization_id"})
    asset_name = _text(given["asset_name"], "asset_name")
    if not asset_name.strip():
        raise InvalidArgumentError("asset_name is blank; name the asset")
    run_id = _optional_text(given, "run_id")
    if len(run_id.encode()) > RUN_ID_BYTES_MAX:
        raise InvalidArgumentError(f"run_id has more than {RUN_ID_BYTES_MAX:,} bytes")
    data = given["data"]
    if not isinstance(data, list):
        raise InvalidArgumentError("data must be a list of rows")
    rows = [_row(one, f"row {number}") for number, one in enumerate(data, 1)]
    return JsonBatch(asset_name, run_id, _optional_text(given, "organization_id"), rows)


def _row(document: Any, where: str) -> JsonRow:  # noqa: ANN401 (any JSON)
    given = _object(document, where, {"timestamp", "values"})
    timestamp_ns = _timestamp_ns(given["timestamp"], where)
    values: dict[str, JsonValue] = {}
    if not isinstance(given["values"], list) or not given["values"]:
        raise InvalidArgumentError(
            f"the values of {where} must be a list of at least one channel and value"
        )
    for number, one in enumerate(given["values"], 1):
        of_value = _object(one, f"value {number} of {where}", {"channel", "value"})
        channel = _text(of_value["channel"], f"the channel of value {number} of {where}")
        if not channel.strip():
            raise InvalidArgumentError(f"value {number} of {where} names no channel")
        if channel in values:
            raise InvalidArgumentError(
                f"{where} has the channel {channel!r} twice; a row has one value of a channel, a"
                " second one of that time goes into a row of its own"
            )
        value = of_value["value"]
        if isinstance(value, str):
            _text(value, f"the value of {channel!r} in {where}")
        elif not isinstance(value, bool | int | float):
            raise InvalidArgumentError(
                f"the value of {channel!r} in {where} is {shown(value)}, and must be a number, a"
                " string, true or false; leave a channel out that has no value"
            )
        values[channel] = value
    return JsonRow(timestamp_ns, values)


def _timestamp_ns(text: object, where: str) -> int:
    match = _TIMESTAMP.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise InvalidArgumentError(
            f"the timestamp of {where} is {shown(text)}; write it as RFC 3339 has it, with an"
            " offset: 2026-01-31T13:00:00.5Z, or 2026-01-31T14:00:00.5+01:00"
        )
    date, time, fraction, _, sign, hours, minutes = match.groups()
    try:
        moment = datetime.fromisoformat(f"{date}T{time}").replace(tzinfo=UTC)
    except ValueError as error:
        raise InvalidArgumentError(f"the timestamp of {where}, {shown(text)}: {error}") from None
    seconds = (moment - _EPOCH) // timedelta(seconds=1)
    if sign is not None:
        if int(hours) >= _HOURS or int(minutes) >= _MINUTES:
            raise InvalidArgumentError(
                f"the timestamp of {where}, {shown(text)}, has an offset that is none"
            )
        offset_s = int(hours) * 3_600 + int(minutes) * 60
        seconds += offset_s if sign == "-" else -offset_s
    fraction = (fraction or "").rstrip("0")
    if len(fraction) > _NS_DIGITS:
        raise InvalidArgumentError(
            f"the timestamp of {where}, {shown(text)}, is finer than nanoseconds, and would not be"
            " kept as it is"
        )
    if not SECONDS_MIN <= seconds <= SECONDS_MAX:
        raise InvalidArgumentError(
            f"the timestamp of {where}, {shown(text)}, is outside of the years 1677 to 2262"
        )
    return seconds * _NS_PER_S + int(fraction.ljust(_NS_DIGITS, "0"))


def _object(
    document: Any,  # noqa: ANN401 (any JSON)
    where: str,
    required: AbstractSet[str],
    optional: AbstractSet[str] = frozenset(),
) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise InvalidArgumentError(f"{where} must be an object, not {shown(document)}")
    missing = sorted(required - document.keys())
    if missing:
        raise InvalidArgumentError(f"{where} has no {missing[0]}")
    unknown = sorted(document.keys() - required - optional)
    if unknown:
        known = ", ".join(sorted(required | optional))
        raise InvalidArgumentError(
            f"{where} has a field {shown(unknown[0])}, which means nothing here; known are {known}"
        )
    return document


def _optional_text(given: dict[str, Any], name: str) -> str:
    # Clients that have none may say so.
    return "" if given.get(name) is None else _text(given[name], name)


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise InvalidArgumentError(f"{where} must be a string, not {shown(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidArgumentError(
            f"{where} has half of a surrogate pair, which is no character"
        ) from None
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON; leave the channel out of the row, or stream it")


def shown(value: object) -> str:
    """A value as a message quotes it: in JSON, and not at length."""
    text = json.dumps(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."
