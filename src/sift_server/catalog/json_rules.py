"""Rules of an asset in their JSON form, as `UpdateJsonRules` takes them: text to what it says.

```text
[{"name", "description", "expression", "type": "review" or "phase", "assignee", "tags": [name, ...],
  "expression_channel_references": [{"channel_reference", "channel_identifier"}, ...]}, ...]
```

`name` and `expression` are needed; a rule without a type makes annotations to review. Other keys
are kept in the text and mean nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sift_server.catalog.rule_content import AnnotationType, Calculated, ChannelName
from sift_server.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Mapping

RULES_PER_ASSET_MAX = 10_000
"""How many rules may be about an asset."""

_TYPES = {"review": AnnotationType.REVIEW, "phase": AnnotationType.PHASE}


@dataclass(frozen=True, slots=True)
class JsonRule:
    """A rule of an asset, as its JSON form says it.

    Attributes:
        name: Unique among the JSON rules of the asset.
        tags: Names of tags for its annotations.
        assignee: Name of the user whom they are assigned to, or empty.
    """

    name: str
    description: str
    expression: Calculated
    annotation_type: AnnotationType
    tags: tuple[str, ...] = ()
    assignee: str = ""


def parse(rules_json: str) -> list[JsonRule]:
    """Read the rules of an asset.

    Raises:
        InvalidArgumentError: The text is no list of rules; says which rule is wrong, and how.
    """
    try:
        entries = json.loads(rules_json)
        has_halves = _has_half_characters(rules_json, entries)
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"the rules are not JSON: {error}") from None
    if has_halves:
        raise InvalidArgumentError(
            "the rules have half of a character, such as \\ud83d, which can't be stored"
        )
    if not isinstance(entries, list):
        raise InvalidArgumentError(f"the rules are a JSON {_json_type(entries)}, not an array")
    if len(entries) > RULES_PER_ASSET_MAX:
        raise InvalidArgumentError(
            f"there are {len(entries):,} rules; an asset may have {RULES_PER_ASSET_MAX:,}"
        )
    rules: dict[str, JsonRule] = {}
    for number, entry in enumerate(entries, 1):
        rule = _rule(number, entry)
        if rule.name in rules:
            raise InvalidArgumentError(
                f"two rules have the name {rule.name!r}; names are unique in an asset"
            )
        rules[rule.name] = rule
    return list(rules.values())


def _has_half_characters(text: str, parsed: Any) -> bool:  # noqa: ANN401 - JSON
    if "\\ud" not in text.lower():
        return False
    try:
        json.dumps(parsed, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _rule(number: int, entry: Any) -> JsonRule:  # noqa: ANN401 - JSON
    if not isinstance(entry, dict):
        raise InvalidArgumentError(f"rule {number} is a JSON {_json_type(entry)}, not an object")
    name = entry.get("name")
    if not isinstance(name, str) or not name.strip():
        raise InvalidArgumentError(f"rule {number} has no name; every rule needs a text as `name`")
    where = f"rule {number}, {name!r},"
    expression = _text(entry, "expression", where)
    if not expression.strip():
        raise InvalidArgumentError(f"{where} has no expression; write it as `expression`")
    spelling = _text(entry, "type", where) or "review"
    annotation_type = _TYPES.get(spelling)
    if annotation_type is None:
        raise InvalidArgumentError(f"{where} has the type {spelling!r}; it is 'review' or 'phase'")
    tags = _list(entry, "tags", where)
    if not all(isinstance(tag, str) and tag.strip() for tag in tags):
        raise InvalidArgumentError(f"{where} has `tags` that are no list of names")
    return JsonRule(
        name=name,
        description=_text(entry, "description", where),
        expression=Calculated(expression, _references(entry, where)),
        annotation_type=annotation_type,
        tags=tuple(dict.fromkeys(tags)),
        assignee=_text(entry, "assignee", where),
    )


def _text(entry: Mapping[str, Any], key: str, where: str) -> str:
    value = entry.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidArgumentError(f"{where} has a JSON {_json_type(value)} as `{key}`, not a text")
    return value


def _list(entry: Mapping[str, Any], key: str, where: str) -> list[Any]:
    value = entry.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidArgumentError(
            f"{where} has a JSON {_json_type(value)} as `{key}`, not an array"
        )
    return value


def _references(entry: Mapping[str, Any], where: str) -> tuple[tuple[str, ChannelName], ...]:
    references: dict[str, ChannelName] = {}
    for one in _list(entry, "expression_channel_references", where):
        named = one if isinstance(one, dict) else {}
        reference, channel = (named.get(key) for key in ("channel_reference", "channel_identifier"))
        if not isinstance(reference, str) or not isinstance(channel, str):
            raise InvalidArgumentError(
                f"{where} has a channel reference that does not say which `channel_identifier`"
                " its `channel_reference` stands for"
            )
        if reference in references:
            raise InvalidArgumentError(f"{where} says twice what {reference} stands for")
        references[reference] = ChannelName(channel)
    return tuple(references.items())


def _json_type(value: object) -> str:
    if value is None:
        return "null"
    names = {dict: "object", list: "array", str: "string", bool: "boolean"}
    return names.get(type(value), "number")
