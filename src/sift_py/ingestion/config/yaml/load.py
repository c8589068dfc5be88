"""Reads telemetry configs and named expressions from YAML files, and checks them.

The rules are the types of `sift_py.ingestion.config.yaml.spec`. A message says what was expected
where, as an excerpt of the file:

```text
Flow 'readings' contains an invalid channel:
Expected 'data_type' to be <double | string | enum | ...> but it is <str>
---
# telemetry.yml
flows:
  - name: readings
    channels:
      - name: velocity
        data_type: <double | string | enum | ...>  # it is 'dbl'
```
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sift_py.errors import YamlConfigError
from sift_py.ingestion._internal.shown import shown_plain
from sift_py.ingestion.config.yaml._check import MismatchError, check
from sift_py.ingestion.config.yaml.spec import TelemetryConfigYamlSpec

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["load_named_expression_modules", "read_and_validate"]


def read_and_validate(path: str | PathLike[str]) -> TelemetryConfigYamlSpec:
    """Read a telemetry config.

    Where the published client was wrong: an empty file, one that is no mapping, and one that is no
    YAML are errors of this module; errors name the field that is wrong and the type it has; a bool
    is no integer; sub-expressions need no channel references, and digits may be in their names; a
    flow without `channels` is an error here, not a `KeyError` later.

    Raises:
        YamlConfigError: The file is not a telemetry config.
        OSError: It can't be read.
    """
    content = _read_mapping(path, "a telemetry config, such as 'asset_name: NostromoLV426'")
    try:
        check(content, TelemetryConfigYamlSpec)
    except MismatchError as mismatch:
        raise YamlConfigError(
            f"{_heading(mismatch)}{mismatch.header}\n---\n# {path}\n{mismatch.excerpt()}"
        ) from None
    return cast("TelemetryConfigYamlSpec", content)


def load_named_expression_modules(
    paths: str | PathLike[str] | Iterable[str | PathLike[str]],
) -> dict[str, str]:
    """Read modules of named expressions, mappings of name to expression, into one mapping.

    The path of a single module may be given as it is.

    Raises:
        YamlConfigError: A file is not such a module, or two have an expression of the same name.
        OSError: A file can't be read.
    """
    if isinstance(paths, str | PathLike):
        paths = [paths]
    expressions: dict[str, str] = {}
    for path in paths:
        module = _read_mapping(path, "named expressions, such as 'is_hot: $1 > $limit'")
        for name, expression in module.items():
            for what, text in (("the name", name), (f"the expression of '{name}'", expression)):
                if not isinstance(text, str):
                    raise YamlConfigError(
                        f"Expected {what} to be a string but it is <{type(text).__name__}>"
                        f" {shown_plain(text)}, in the named expression module '{path}'. Put it in"
                        " quotes."
                    )
            if name in expressions:
                raise YamlConfigError(
                    f"Encountered expressions with identical names being loaded, '{name}', the"
                    f" second in the named expression module '{path}'. Rename one of them."
                )
            expressions[name] = expression
    return expressions


def _read_mapping(path: str | PathLike[str], content: str) -> dict[Any, Any]:
    """Parse a file that holds one mapping."""
    # Only programs that read YAML wait for its import.
    from sift_py.ingestion.config.yaml._read import (  # noqa: PLC0415
        YAML_BYTES_MAX,
        DocumentError,
        read,
    )

    # As bytes, so that YAML decides on the encoding, not the locale.
    with Path(path).open("rb") as file:
        data = file.read(YAML_BYTES_MAX + 1)
    try:
        parsed = read(data)
    except DocumentError as error:
        raise YamlConfigError(f"'{path}' is not YAML: {error}") from error
    if parsed is None:
        raise YamlConfigError(f"'{path}' is empty. Expected a mapping of {content}.")
    if not isinstance(parsed, dict):
        raise YamlConfigError(
            f"Expected '{path}' to be a mapping of {content}, but it is <{type(parsed).__name__}>."
        )
    return parsed


def _heading(mismatch: MismatchError) -> str:
    """Name the flow or the channel reference that a mismatch lies in."""
    keys = [key for _, key in mismatch.place]
    match keys:
        case ["flows" | "rules", int(index), *_]:
            owner = mismatch.place[1][0][index]
        case _:
            return ""
    match keys:
        case ["flows", _, "channels", int(), *_]:
            return f"Flow '{owner['name']}' contains an invalid channel:\n"
        case ["rules", _, "channel_references", int(), str(reference), *_]:
            name = owner["name"]
            return f"Rule '{name}' contains an invalid channel reference '{reference}':\n"
    return ""
