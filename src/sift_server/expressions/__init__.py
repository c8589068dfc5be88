"""The expressions of rules and calculated channels: CEL over channels, evaluated column by column.

Text comes in at `compile_expression`, which parses it and checks every type. What it returns is
evaluated over the points of its channels, piece by piece, in the order of time. Nothing in here
knows where channels are stored, or what becomes of the values.
"""

from sift_server.expressions.compile import check_condition, compile_condition, compile_expression
from sift_server.expressions.functions import FUNCTIONS
from sift_server.expressions.names import names_in
from sift_server.expressions.program import Expression
from sift_server.expressions.scope import ExpressionError, parsed
from sift_server.expressions.signal import AGE_NS_MAX, Signal
from sift_server.expressions.source import Named, Nested, Source
from sift_server.expressions.values import Column, Texts, Type

__all__ = [
    "AGE_NS_MAX",
    "FUNCTIONS",
    "Column",
    "Expression",
    "ExpressionError",
    "Named",
    "Nested",
    "Signal",
    "Source",
    "Texts",
    "Type",
    "check_condition",
    "compile_condition",
    "compile_expression",
    "names_in",
    "parsed",
]
