"""Plans go to files and back, and say what is wrong with them."""

from __future__ import annotations

import pytest

from sift_files import (
    ColumnPlan,
    CsvLayout,
    DataType,
    FileFormat,
    FilePlan,
    PlanError,
    TablePlan,
    TimeFormat,
    TimePlan,
    load_plan,
    plan_document,
    plan_of_document,
    save_plan,
)
from sift_files.names import name_and_unit, unique

PLAN = FilePlan(
    FileFormat.CSV,
    (
        TablePlan(
            "flight",
            TimePlan(("1",), TimeFormat.RELATIVE_SECONDS, start_ns=5, timezone="Europe/Berlin"),
            (
                ColumnPlan("2", "speed (m/s)", "speed", DataType.DOUBLE, "m/s", examples=("1",)),
                ColumnPlan("3", "state", "state", DataType.ENUM, enum={"on": 1}, is_wanted=False),
            ),
            rows=10,
        ),
    ),
    csv=CsvLayout(";", "utf-16", 3, 2, ",", no_value=("N/A",)),
)


def test_a_plan_is_the_same_after_a_file(tmp_path):
    """What a person corrects is what is read."""
    save_plan(PLAN, tmp_path / "plan.yaml")
    assert load_plan(tmp_path / "plan.yaml") == PLAN
    assert "examples" not in (tmp_path / "plan.yaml").read_text()


def test_the_numbers_of_columns_may_be_numbers():
    """YAML makes numbers of what a person writes without quotes."""
    document = plan_document(PLAN)
    document["tables"][0]["columns"][0]["path"] = 2
    assert plan_of_document(document) == PLAN


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "xls"}, "plan.format must be one of csv, parquet"),
        ({"colour": 1}, "plan has 'colour'"),
        ({"tables": [{"name": "a", "time": None}]}, r"plan.tables\[0\] needs 'columns'"),
        ({"tables": {}}, "plan.tables must be a list"),
        ({"csv": {"columns": "many"}}, "plan.csv.columns must be a int, not 'many'"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(change, words):
    """A typing mistake is found."""
    with pytest.raises(PlanError, match=words):
        plan_of_document({**plan_document(PLAN), **change})


def test_a_file_that_is_no_plan_is_told(tmp_path):
    """With its name."""
    path = tmp_path / "plan.yaml"
    path.write_text("- 1")
    with pytest.raises(PlanError, match=r"plan\.yaml: plan must be a mapping"):
        load_plan(path)
    path.write_text("{")
    with pytest.raises(PlanError, match=r"plan\.yaml is no YAML"):
        load_plan(path)


@pytest.mark.parametrize(
    ("header", "name", "unit"),
    [
        ("speed (m/s)", "speed", "m/s"),
        ("speed [m/s]", "speed", "m/s"),
        (" speed[m/s] ", "speed", "m/s"),
        ("cell[3]", "cell[3]", ""),
        ("speed", "speed", ""),
        ("f(x) (V)", "f(x)", "V"),
        ("()", "()", ""),
    ],
)
def test_units_are_taken_off_names(header, name, unit):
    """But no indices."""
    assert name_and_unit(header) == (name, unit)


def test_each_name_is_there_once():
    """A name that is made is none that is there."""
    assert unique(["a", "a", "a_2", "b", "a"]) == ["a", "a_3", "a_2", "b", "a_4"]
