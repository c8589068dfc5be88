"""Write the tables of functions in docs/expressions.md from what the code says of them.

```text
python scripts/expression_docs.py           # writes them
python scripts/expression_docs.py --check   # fails if they are not what the code says
```
"""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sift_server.expressions import FUNCTIONS
from sift_server.expressions.functions import Library

if TYPE_CHECKING:
    from sift_server.expressions.functions import Example, Function

PAGE = Path(__file__).resolve().parents[1] / "docs" / "expressions.md"
BEGIN = "<!-- Made by scripts/expression_docs.py from here on. -->\n"
END = "<!-- To here. -->\n"


def tables() -> str:
    """A table for each library."""
    functions = [function for several in FUNCTIONS.values() for function in several]
    functions.sort(key=lambda function: list(Library).index(function.library))
    return "\n".join(
        f"### {library.value}\n\n"
        "| function | type | meaning | where values are missing | example |\n"
        "|---|---|---|---|---|\n" + "".join(map(_row, group))
        for library, group in groupby(functions, lambda function: function.library)
    )


def _row(function: Function) -> str:
    return (
        f"| `{function.form}` | {function.result} | {function.meaning} | {function.at_gaps} |"
        f" {_example(function.example)} |\n"
    )


def _example(example: Example) -> str:
    given, result = (", ".join(map(_value, values)) for values in (example.given, example.result))
    return f"`{example.expression}` of {given}: {result}"


def _value(value: Any) -> str:  # noqa: ANN401 - of any type
    if value is None:
        return "missing"
    if isinstance(value, str):
        return f'`"{value}"`'
    return str(value).lower() if isinstance(value, bool) else _number(value)


def _number(value: float) -> str:
    return {"nan": "NaN", "inf": "∞"}.get(str(value), str(value))


def main() -> None:
    """Write the page, or compare it."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    wanted = f"{before}{BEGIN}\n{tables()}\n{END}{after}"
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(wanted, encoding="utf-8")
    elif text != wanted:
        sys.exit("docs/expressions.md is out of date: run scripts/expression_docs.py")


if __name__ == "__main__":
    main()
