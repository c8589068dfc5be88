"""Reads a YAML document in bounds: a file of a kilobyte can mean a terabyte, or take a day.

Imports PyYAML, so it is imported where YAML is read and not before.
"""

from __future__ import annotations

from typing import Any

import yaml

YAML_BYTES_MAX = 64 * 1024 * 1024
"""Largest file."""

YAML_WEIGHT_MAX = 10_000_000
"""How much a document may be with its aliases filled in: values, and their characters by 64."""

NUMBER_CHARS_MAX = 400
"""Longest number; reading one takes the square of its length."""

_CHARS_OF_A_VALUE = 64

# libyaml, where PyYAML was built with it, is an order of magnitude faster.
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class DocumentError(ValueError):
    """What was read is no YAML document, or beyond bounds; says which."""


class _Loader(_SafeLoader):  # type: ignore[misc]  # one of two classes
    """Makes plain values only, and no number that takes long."""

    def construct_number(self, node: Any) -> Any:  # noqa: ANN401  # YAML
        """Make an int or a float."""
        if len(node.value) > NUMBER_CHARS_MAX:
            raise DocumentError(
                f"a number has {len(node.value):,} characters; the limit is {NUMBER_CHARS_MAX}"
            )
        if node.tag == _INT:
            return self.construct_yaml_int(node)
        return self.construct_yaml_float(node)


_INT = "tag:yaml.org,2002:int"
_FLOAT = "tag:yaml.org,2002:float"
for _tag in (_INT, _FLOAT):
    _Loader.add_constructor(_tag, _Loader.construct_number)


def read(data: bytes) -> Any:  # noqa: ANN401  # YAML
    """Read a document.

    Raises:
        DocumentError: The bytes are none, or it is larger or deeper than may be.
    """
    if len(data) > YAML_BYTES_MAX:
        raise DocumentError(f"it has {len(data):,} bytes; the limit is {YAML_BYTES_MAX:,}")
    try:
        if b"*" in data:
            _check_aliases(data)
        return yaml.load(data, _Loader)  # noqa: S506  # it is a safe one
    except RecursionError:
        raise DocumentError("it is nested too deeply") from None
    # PyYAML checks less than it should of values that a tag makes of another type.
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise DocumentError(str(error) or type(error).__name__) from error


def _check_aliases(data: bytes) -> None:
    """Check how much a document is when each alias is what it stands for."""
    weights: dict[str | None, int | None] = {}
    open_anchors: list[tuple[str | None, int]] = []
    weight = 0
    for event in yaml.parse(data, _SafeLoader):
        before = weight
        if isinstance(event, yaml.AliasEvent):
            meant = weights.get(event.anchor, 0)
            if meant is None:
                raise DocumentError(f"the alias *{event.anchor} stands for what it is in")
            weight += meant
        elif isinstance(event, yaml.ScalarEvent):
            weight += 1 + len(event.value) // _CHARS_OF_A_VALUE
            weights[event.anchor] = weight - before
        elif isinstance(event, yaml.CollectionStartEvent):
            weight += 1
            open_anchors.append((event.anchor, before))
            weights[event.anchor] = None
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, start = open_anchors.pop()
            weights[anchor] = weight - start
        if weight > YAML_WEIGHT_MAX:
            raise DocumentError(
                f"with its aliases filled in it has more than {YAML_WEIGHT_MAX:,} values; write"
                " fewer aliases"
            )
