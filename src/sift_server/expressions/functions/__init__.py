"""The functions of expressions, each with what documentation says of it."""

from sift_server.expressions.functions.base import (
    Example,
    Function,
    FunctionError,
    Library,
    OverTime,
    Pointwise,
    Step,
)
from sift_server.expressions.functions.mathematics import MATHEMATICS
from sift_server.expressions.functions.over_time import OVER_TIME
from sift_server.expressions.functions.strings import STRINGS

FUNCTIONS: dict[str, tuple[Function, ...]] = {}
"""Functions by name; those of one name differ in their arguments."""

for _function in (*MATHEMATICS, *STRINGS, *OVER_TIME):
    FUNCTIONS[_function.name] = (*FUNCTIONS.get(_function.name, ()), _function)

__all__ = [
    "FUNCTIONS",
    "Example",
    "Function",
    "FunctionError",
    "Library",
    "OverTime",
    "Pointwise",
    "Step",
]
