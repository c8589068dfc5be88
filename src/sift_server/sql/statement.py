"""What a statement may do, told by its syntax tree as DuckDB's own parser gives it.

One statement that only reads: `SELECT`, `WITH`, `FROM`, `VALUES`, `DESCRIBE`, `SUMMARIZE`,
`EXPLAIN`, or `SHOW TABLES`. Everything that it names is looked at: tables are given back for the
server to say whether they are there, table functions are those of `TABLE_FUNCTIONS`, and functions
that tell of the process, or change something, are refused.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TABLE_FUNCTIONS = frozenset(
    {"generate_series", "json_each", "json_tree", "range", "repeat", "repeat_row", "unnest"}
)
"""Table functions that a statement may call: what they give is made of their arguments."""

_REFUSED_FUNCTIONS = frozenset(
    {
        "current_query",
        "current_setting",
        "currval",
        "getenv",
        "getvariable",
        "json_deserialize_sql",
        "json_serialize_plan",
        "nextval",
        "parse_duckdb_log_message",
        "pg_sleep",
        "query",
        "query_table",
        "setseed",
        "setval",
        "sleep_ms",
        "stats",
        "write_log",
    }
)
_REFUSED_PREFIXES = ("__internal", "inet_", "read_", "st_", "variant_bytes")

_SELECT, _EXPLAIN = "SELECT", "EXPLAIN"
_EXPLAIN_WORDS = re.compile(
    r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*explain\b\s*(?P<analyze>analyze\b)?",
    re.IGNORECASE | re.DOTALL,
)
_NOWHERE = 2**64 - 1
_QUERY_NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
"""Nodes that read. A statement inside of another may also write: it is another node."""


class StatementError(Exception):
    """A statement is refused; says why.

    Attributes:
        place: Characters before what is wrong, or None.
    """

    def __init__(self, message: str, place: int | None = None) -> None:
        super().__init__(message)
        self.place = place


@dataclass(slots=True)
class Named:
    """What a statement names.

    Attributes:
        tables: Schema (or empty), name and place of each table that is no part of the statement.
        words: All names of columns, in lower case, or None if it may use any column of its tables.
        shows_tables: Whether it is `SHOW TABLES`.
    """

    tables: list[tuple[str, str, int | None]] = field(default_factory=list)
    words: set[str] | None = field(default_factory=set)
    shows_tables: bool = False


def check(statement: str, kinds: Callable[[str], list[str]], tree: Callable[[str], str]) -> Named:
    """Check a statement, and say what it names.

    Args:
        statement: The statement.
        kinds: Gives the kind of each statement of a text, by DuckDB's names.
        tree: Gives the syntax tree of one, as JSON.

    Raises:
        StatementError: It is refused.
    """
    found = kinds(statement)
    if len(found) != 1:
        wrong = "there is no statement" if not found else f"these are {len(found)} statements"
        raise StatementError(f"{wrong}; give one")
    kind, offset = found[0], 0
    if kind == _EXPLAIN:
        words = _EXPLAIN_WORDS.match(statement)
        if words is None:
            raise StatementError("EXPLAIN takes no options here; leave them out")
        offset = words.end()
        statement = " " * offset + statement[offset:]
        if kinds(statement) != [_SELECT]:
            raise StatementError("EXPLAIN takes a SELECT")
    elif kind != _SELECT:
        raise StatementError(
            f"{_spoken(kind)} is not answered: nothing can be changed here, only read by"
            " SELECT, WITH, FROM, VALUES, DESCRIBE, SUMMARIZE, EXPLAIN or SHOW TABLES"
        )
    try:
        document = json.loads(tree(statement))
    except RecursionError:
        raise StatementError("the statement is nested too deep") from None
    if document.get("error"):
        raise StatementError(str(document.get("error_message", "this can't be read")))
    if document["statements"][0]["named_param_map"]:
        raise StatementError("a statement has no parameters here; write the values into it")
    return _Look(statement).at(document["statements"][0]["node"])


def _spoken(kind: str) -> str:
    return "PIVOT without the values to pivot on (IN (...))" if kind == "MULTI" else kind


class _Look:
    """Goes through a tree, without recursion."""

    def __init__(self, statement: str) -> None:
        self._bytes = statement.encode()

    def at(self, root: dict[str, Any]) -> Named:  # noqa: C901 (a list of kinds of nodes)
        """Check a tree, and say what it names."""
        named = Named()
        own = {name.lower() for name in _own_names(root)}
        aliases: set[str] = set()
        names: set[str] = set()
        alone: set[str] = set()
        uses_all = False
        for node in _nodes(root):
            kind = node.get("type")
            match kind:
                case "BASE_TABLE":
                    self._table(node, own, named)
                    aliases |= {node["table_name"].lower(), node["alias"].lower()}
                    uses_all |= bool(node["column_name_alias"]) or node["at_clause"] is not None
                case "TABLE_FUNCTION":
                    self._table_function(node)
                case "SHOW_REF":
                    uses_all = True
                    self._show(node, root, named, own)
                case "STAR" | "POSITIONAL_REFERENCE":
                    uses_all = True
                case "JOIN":
                    names |= {name.lower() for name in node["using_columns"]}
                    uses_all |= node["ref_type"] == "NATURAL"
                case "COLUMN_REF":
                    parts = [name.lower() for name in node["column_names"]]
                    names.update(parts)
                    if len(parts) == 1:
                        alone.update(parts)
                case str() if kind.endswith("_NODE") and kind not in _QUERY_NODES:
                    raise StatementError("a part of the statement would change something")
                case _:
                    pass
            if "function_name" in node and kind != "TABLE_FUNCTION":
                self._function(node)
        # The name of a table as a column is all of its columns.
        named.words = None if uses_all or alone & aliases else names
        return named

    def _table(self, node: dict[str, Any], own: set[str], named: Named) -> None:
        path = node["qualified_name"]["path"]
        name = path[-1]
        place = self._place(node)
        if len(path) == 1 and name.lower() in own:
            return
        if len(path) > 2:  # noqa: PLR2004 (schema and table)
            raise StatementError(f"there is no table {'.'.join(path)}; see SHOW TABLES", place)
        named.tables.append((path[0] if len(path) > 1 else "", name, place))

    def _table_function(self, node: dict[str, Any]) -> None:
        function = node["function"]
        name = function.get("function_name", "")
        if function["qualified_name"]["path"] != [name] or name.lower() not in TABLE_FUNCTIONS:
            known = ", ".join(sorted(TABLE_FUNCTIONS))
            raise StatementError(
                f"the table function {name} is not answered here; these are: {known}",
                self._place(node),
            )

    def _function(self, node: dict[str, Any]) -> None:
        name = node["function_name"].lower()
        if node["qualified_name"]["path"] != [node["function_name"]]:
            raise StatementError("functions have no schema here", self._place(node))
        if name in _REFUSED_FUNCTIONS or name.startswith(_REFUSED_PREFIXES):
            raise StatementError(f"the function {name} is not answered here", self._place(node))

    def _show(
        self, node: dict[str, Any], root: dict[str, Any], named: Named, own: set[str]
    ) -> None:
        if node["query"] is not None:
            return
        if node["show_type"] == "SHOW" and node["table_name"].lower() not in own:
            path = node["qualified_name"]["path"]
            named.tables.append((path[0] if len(path) > 1 else "", path[-1], None))
        elif node["table_name"].strip('"') in ("tables", "__show_tables_expanded"):
            if root.get("from_table") is not node or not _is_bare(root):
                raise StatementError("SHOW TABLES is no part of a statement; read from tables")
            named.shows_tables = True
        else:
            raise StatementError("of SHOW there is SHOW TABLES, and DESCRIBE of a table")

    def _place(self, node: dict[str, Any]) -> int | None:
        place = node.get("query_location", _NOWHERE)
        if not 0 <= place <= len(self._bytes):
            return None
        return len(self._bytes[:place].decode(errors="replace"))


def _is_bare(root: dict[str, Any]) -> bool:
    """Whether a tree is that of `SHOW TABLES` and nothing else."""
    return root["where_clause"] is None and not root["modifiers"] and not root["cte_map"]["map"]


def _own_names(root: dict[str, Any]) -> Iterator[str]:
    """Names that a statement gives to parts of it."""
    for node in _nodes(root):
        for entry in (node.get("cte_map") or {}).get("map", ()):
            yield entry["key"]
        if node.get("type") in ("RECURSIVE_CTE_NODE", "CTE_NODE"):
            yield node.get("cte_name", "")


def _nodes(root: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 (any JSON)
    waiting = [root]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield each
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
