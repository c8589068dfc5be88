"""docs/expressions.md has the functions and limits as the code has them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from sift_server import cel
from sift_server.cel.text import CHAIN_MAX
from sift_server.expressions import AGE_NS_MAX
from sift_server.expressions.durations import WINDOW_NS_MAX
from sift_server.expressions.functions.strings import PATTERN_CHARS_MAX
from sift_server.expressions.scope import (
    EXPRESSION_CHANNELS_MAX,
    EXPRESSION_CHARS_MAX,
    EXPRESSION_TOKENS_MAX,
    NESTED_DEPTH_MAX,
    NESTING_MAX,
)

ROOT = Path(__file__).resolve().parents[2]


def test_the_tables_of_functions_are_what_the_code_says() -> None:
    """A script writes them."""
    subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "expression_docs.py"), "--check"], check=True
    )


def test_limits_are_as_documented() -> None:
    """By their names."""
    text = (ROOT / "docs" / "expressions.md").read_text(encoding="utf-8")
    documented = {
        name: int(number.replace(",", ""))
        for name, number in re.findall(r"^\| `(\w+_MAX)` \| ([\d,]+)", text, re.MULTILINE)
    }
    assert documented == {
        "EXPRESSION_CHARS_MAX": EXPRESSION_CHARS_MAX,
        "EXPRESSION_TOKENS_MAX": EXPRESSION_TOKENS_MAX,
        "EXPRESSION_CHANNELS_MAX": EXPRESSION_CHANNELS_MAX,
        "NESTING_MAX": NESTING_MAX,
        "NESTED_DEPTH_MAX": NESTED_DEPTH_MAX,
        "DEPTH_MAX": cel.DEPTH_MAX,
        "CHAIN_MAX": CHAIN_MAX,
        "PATTERN_CHARS_MAX": PATTERN_CHARS_MAX,
        "WINDOW_NS_MAX": WINDOW_NS_MAX // (60 * 10**9),
        "AGE_NS_MAX": AGE_NS_MAX // (60 * 10**9),
    }
