"""Reads CEL, the language of filters and of expressions, into a small tree."""

from sift_server.cel.nodes import (
    Call,
    Choice,
    Either,
    Entry,
    Every,
    ListOf,
    Literal,
    Name,
    Negative,
    Node,
    Not,
    Operation,
)
from sift_server.cel.parse import (
    INT_64_MAX,
    INT_64_MIN,
    Dialect,
    parse,
    shortened,
    unescape,
)
from sift_server.cel.text import DEPTH_MAX

__all__ = [
    "DEPTH_MAX",
    "INT_64_MAX",
    "INT_64_MIN",
    "Call",
    "Choice",
    "Dialect",
    "Either",
    "Entry",
    "Every",
    "ListOf",
    "Literal",
    "Name",
    "Negative",
    "Node",
    "Not",
    "Operation",
    "parse",
    "shortened",
    "unescape",
]
