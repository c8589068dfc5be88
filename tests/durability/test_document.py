"""docs/durability.md promises nothing that no test proves."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
DOCUMENT = TESTS.parent / "docs" / "durability.md"

_SENTENCE = re.compile(r"^\| `([a-z-]+)` \| (.+) \| (.+) \|$", re.MULTILINE)
_TEST = re.compile(r"`([a-z_/]+\.py)::(test_\w+)`")


def sentences() -> dict[str, list[tuple[str, str]]]:
    """The tests that the document names, by the name of the sentence that they prove."""
    rows = _SENTENCE.findall(DOCUMENT.read_text())
    assert len(rows) == len({name for name, _, _ in rows})
    return {name: _TEST.findall(tests) for name, _, tests in rows}


def proven_by(path: Path) -> dict[str, set[str]]:
    """What each test of a file says that it proves."""
    return {
        node.name: {
            argument.value
            for decorator in node.decorator_list
            if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith("proves")
            for argument in decorator.args
        }
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_sentence_names_tests_that_name_it():
    """A test that was renamed or removed is missed here."""
    found = sentences()
    assert len(found) > 20
    for name, tests in found.items():
        assert tests, f"no test proves {name!r}"
        for path, test in tests:
            proven = proven_by(TESTS / path)
            assert test in proven, f"{name!r}: there is no {path}::{test}"
            assert name in proven[test], f"{path}::{test} does not say that it proves {name!r}"


def test_every_test_that_names_a_sentence_is_named_by_it():
    """Nor does a test prove what the document does not promise."""
    promised = sentences()
    for path in TESTS.rglob("test_*.py"):
        for test, names in proven_by(path).items():
            for name in names:
                relative = path.relative_to(TESTS).as_posix()
                assert (relative, test) in promised.get(name, []), f"{name!r}: {relative}::{test}"
