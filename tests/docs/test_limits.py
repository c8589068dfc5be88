"""docs/limits.md has the limits of the doors as they are, each with a test that reaches it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "sift_server"
ROOMS = (
    "api",
    "calculated",
    "imports",
    "ingest",
    "catalog",
    "exports",
    "follow",
    "query",
    "retention",
    "rules",
    "sql",
    "server.py",
    "commands/serve.py",
)
ROW = re.compile(r"^\| `(\w+)`[^|]*\| ([^|]+)\| [^|]+\| ([^|]+)\|$", re.MULTILINE)
TEST = re.compile(r"`([a-z_0-9/]+\.py)::(test_\w+)`")
NAME = re.compile(r"[A-Z][A-Z0-9_]*_MAX|[a-z_]+_max")
INTERNAL = {
    "BLOCKS_KNOWN_MAX": "a cache of a connection",
    "CHUNKS_ON_THEIR_WAY_MAX": "of an import, which waits for the disk then",
    "CONNECTIONS_MAX": "as many as there are threads that ask",
    "END_S_MAX": "of a process that was killed, which the system sees to",
    "ERRORS_TOLD_MAX": "of a list of rules; says how many more there are",
    "FILE_NAME_CHARS_MAX": "of a name that is in messages, and cut there",
    "FLOWS_KNOWN_MAX": "a cache of who follows what",
    "INT_64_MAX": "a number",
    "LATE_TICK_MS_MAX": "of evaluating late points; others are next",
    "LATE_WAIT_MS_MAX": "gathers late points, which are evaluated in the end",
    "MARKS_OF_ALL_MAX": "the same, of many conditions",
    "MARKS_MAX": "how far one can go back without reading what is stored",
    "NAMES_SHOWN_MAX": "of a list in a message, which says that there are more",
    "QUEUE_BYTES_MAX": "of points for rules, or followers; others are read from what is stored",
    "RUNS_BYTES_MAX": "of the latest points of runs; others are read from what is stored",
    "RUNS_MAX": "the same",
    "SETTLE_MS_MAX": "after which it is written down what is to be evaluated",
    "TOGETHER_MAX": "decides when small streams are taken, not whether",
    "TOLD_AT_ONCE_MAX": "of rules that rest, in a tick; others are told in the next",
    "page_size_max": "of a question, from one of the others",
}
KIB = 1024


def limits() -> list[tuple[str, float]]:
    """Every number of the doors that ends in 'max', by its name."""
    found = []
    for room in ROOMS:
        place = SOURCE / room
        for path in [place] if place.is_file() else sorted(place.rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                match node:
                    case ast.Assign(targets=[ast.Name(id=name)], value=ast.expr() as value):
                        pass
                    case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                        pass
                    case _:
                        continue
                if NAME.fullmatch(name) and name not in INTERNAL:
                    found.append((name, eval(compile(ast.Expression(value), "", "eval"), {})))
    return found


def shown(name: str, value: float) -> set[str]:
    """The ways to write a limit."""
    unit = name.lower().split("_")[-2]
    if unit == "ms":
        return {f"{value / 1_000:g} s"}
    if unit == "bytes":
        return {f"{value / KIB:g} KiB", f"{value / KIB**2:g} MiB"}
    return {f"{value:,.0f}"}


def rows() -> dict[str, tuple[str, list[tuple[str, str]]]]:
    text = (ROOT / "docs" / "limits.md").read_text()
    found = ROW.findall(text)
    assert len(found) == len({name for name, _, _ in found})
    return {name: (value, TEST.findall(tests)) for name, value, tests in found}


def test_every_limit_is_there_with_its_value():
    """A limit that is new, or has changed, is missed here."""
    documented = rows()
    found = limits()
    assert len(found) > 40
    for name, value in found:
        assert name in documented, f"docs/limits.md lacks {name}"
        assert any(way in documented[name][0] for way in shown(name, value)), (name, value)


def test_every_limit_has_tests():
    """A test that was renamed or removed is missed here."""
    for name, (_, tests) in rows().items():
        assert tests, f"no test proves {name}"
        for path, test in tests:
            source = (ROOT / "tests" / path).read_text()
            assert f"def {test}(" in source, f"{name}: there is no {path}::{test}"
