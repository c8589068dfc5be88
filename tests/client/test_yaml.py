"""Telemetry configs in YAML: what is read, and what is refused with the place it is in."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from sift_py.errors import RuleConfigError, TelemetryConfigValidationError, YamlConfigError
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.config.yaml import _read, error, spec
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


LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)
MERGES = "a0: &a0 {k: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 12)
)
WIDE = (
    "asset_name: a\nx: &c {name: c, data_type: double}\n"
    f"y: &f {{name: f, channels: [{', '.join(['*c'] * 10_000)}]}}\n"
    f"flows: [{', '.join(['*f'] * 10_000)}]\n"
)
LONG_TEXTS = f"a: &a {'x' * 1_000_000}\nb: [{', '.join(['*a'] * 10_000)}]\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LAUGHS, "aliases filled in it has more than"),
        (MERGES, "aliases filled in it has more than"),
        (WIDE, "aliases filled in it has more than"),
        (LONG_TEXTS, "aliases filled in it has more than"),
        ("asset_name: x\nflows: &a [*a]\n", r"\*a stands for what it is in"),
        ("a: " + "[" * 100_000, "nest"),
        ("- " * 100_000, "nest"),
        ("asset_name: 1" + ":59" * 50_000, "a number has 150,001 characters"),
        ("asset_name: 1" + ":59" * 50_000 + ".5", "a number has 150,003 characters"),
        ("asset_name: !!int ''", "is not YAML"),
        ("asset_name: !!float ''", "is not YAML"),
        ("asset_name: !!bool 'x'", "is not YAML"),
        ("asset_name: !!timestamp 'x'", "is not YAML"),
        ("asset_name: !!python/object/apply:os.system [exit 1]", "could not determine"),
        ("asset_name: !!python/name:os.system", "could not determine"),
        ("\0", "not allowed"),
    ],
)
def test_a_hostile_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """Nothing of it is run, and it is refused before it takes much time or memory."""
    path = tmp_path / "hostile.yml"
    path.write_text(text, encoding="utf-8")
    started_s = time.thread_time()
    with pytest.raises(error.YamlConfigError, match=said):
        TelemetryConfig.try_from_yaml(path)
    with pytest.raises(error.YamlConfigError, match=said):
        load_named_expression_modules(path)
    assert time.thread_time() - started_s < 10


def test_a_file_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not read to its end."""
    monkeypatch.setattr(_read, "YAML_BYTES_MAX", 1_000)
    path = tmp_path / "large.yml"
    path.write_text("a: b\n" * 1_000, encoding="utf-8")
    with pytest.raises(error.YamlConfigError, match="the limit is 1,000"):
        load_named_expression_modules(path)


def test_aliases_are_welcome_in_bounds(tmp_path: Path) -> None:
    """Configs that share channels among flows by aliases are read as if they were written out."""
    path = tmp_path / "shared.yml"
    path.write_text(
        "asset_name: a\nx: &c {name: c, data_type: double}\nflows:\n"
        "  - {name: f, channels: [*c]}\n  - {name: g, channels: [*c]}\n",
        encoding="utf-8",
    )
    config = TelemetryConfig.try_from_yaml(path)
    assert [[one.name for one in flow.channels] for flow in config.flows] == [["c"], ["c"]]
