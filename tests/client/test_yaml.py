"""Telemetry configs in YAML: what is read, and what is refused with the place it is in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sift_py.errors import RuleConfigError, TelemetryConfigValidationError, YamlConfigError
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.config.yaml import error, spec
from sift_py.ingestion.config.yaml.load import load_named_expression_modules

if TYPE_CHECKING:
    from pathlib import Path

RULE = """
asset_name: rover
rules:
  - name: overspeed
    type: phase
    expression: {expression}
    channel_references:
      - $1: {{name: velocity, data_type: double}}
    sub_expressions:
      - $limit: {limit}
"""


def read(folder: Path, content: str, modules: str | None = None) -> TelemetryConfig:
    path = folder / "telemetry.yml"
    path.write_text(content)
    return TelemetryConfig.try_from_yaml(path, modules)


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "expressions.yml"
    path.write_text("is_fast: $1 > $limit\n")
    return path


def test_one_module_of_named_expressions_is_given_by_its_path(module: Path, tmp_path: Path) -> None:
    """A text is no list of paths of one letter."""
    expected = {"is_fast": "$1 > $limit"}
    for paths in (str(module), module, [module], [str(module)]):
        assert load_named_expression_modules(paths) == expected
    config = read(tmp_path, RULE.format(expression="{name: is_fast}", limit=5), str(module))
    assert config.rules[0].expression == "$1 > 5"


def test_sub_expressions_fill_in_an_expression_that_is_written_out(tmp_path: Path) -> None:
    """As they fill in a named one."""
    config = read(tmp_path, RULE.format(expression="$1 > $limit", limit=5))
    assert config.rules[0].expression == "$1 > 5"


@pytest.mark.parametrize(
    ("expression", "limit", "message"),
    [
        ("$1 > 5", "5", r"Couldn't find the sub-expression '\$limit'"),
        ("$1 > $limt + $limit", "5", r"'\$limt' in the expression"),
        ("$1 > $limit", "2024-01-01", r"'\$limit' can't be datetime.date\(2024, 1, 1\), a date"),
        ("$1 > $limit", ".nan", r"'\$limit' can't be nan, a float"),
    ],
)
def test_sub_expressions_that_do_not_fit_are_named(
    tmp_path: Path, expression: str, limit: str, message: str
) -> None:
    """With the rule."""
    with pytest.raises(RuleConfigError, match=f"Rule 'overspeed': .*{message}"):
        read(tmp_path, RULE.format(expression=expression, limit=limit))


def test_tags_are_texts(tmp_path: Path) -> None:
    """The message names the field."""
    rule = "asset_name: rover\nrules:\n  - {name: a, type: phase, expression: '1 > 0', tags: %s}"
    with pytest.raises(YamlConfigError, match=r"Expected 'tags\[0\]' to be <str> but it is <int>"):
        read(tmp_path, rule % "[5]")
    with pytest.raises(YamlConfigError, match=r"Expected 'tags' to be <List\[str\]>"):
        read(tmp_path, rule % "abc")
    assert read(tmp_path, rule % "[abc]").rules[0].action.tags == ["abc"]  # type: ignore[attr-defined]


def test_keys_of_enum_types_are_numbers_of_32_bits(tmp_path: Path) -> None:
    """As in a config that is made in Python."""
    content = """
        asset_name: rover
        flows:
          - name: readings
            channels:
              - {name: state, data_type: enum, enum_types: [{name: idle, key: -1}]}
    """
    with pytest.raises(
        TelemetryConfigValidationError, match="flow 'readings', channel 'state': the key of"
    ):
        read(tmp_path, content)


def test_the_error_is_exported_where_programs_import_it_from() -> None:
    """Published programs import it from `spec`."""
    assert spec.YamlConfigError is error.YamlConfigError is YamlConfigError
