"""Finds the tables that a statement names, and says how a worker makes them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sift_server.errors import InvalidArgumentError
from sift_server.lake.files import Extent
from sift_server.lake.schema import write_schema
from sift_server.sql import catalog_tables, views
from sift_server.sql.once import Source
from sift_server.sql.place import underlined
from sift_server.sql.views import PointSource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sift_server.catalog import Catalog
    from sift_server.lake import PointStore, StoreSnapshot
    from sift_server.lake.files import DataFile
    from sift_server.lake.sorting import DayOfPoints
    from sift_server.sql.file_facts import FileFacts
    from sift_server.sql.flow_views import FlowView, FlowViews


class StatementTables:
    """The tables of one statement. For one thread.

    Attributes:
        files: Open files of memory, each with a table of that name as a stream of Arrow. To be
            closed by `close`.
        statements: What makes the rest of them.
        paths: Files that these read.
        snapshot: What keeps the files of the table on disk; None if the statement reads no points.
    """

    def __init__(self, catalog: Catalog, store: PointStore, facts: FileFacts) -> None:
        self._catalog = catalog
        self._store = store
        self._facts = facts
        self.files: dict[str, int] = {}
        self.statements: list[str] = []
        self.paths: list[str] = []
        self.snapshot: StoreSnapshot | None = None

    def describe(self, named: dict[str, Any], statement: str) -> None:
        """Find what a statement names, as `worker` says it.

        Raises:
            InvalidArgumentError: A table is not there; says which, and where.
        """
        found = _Found(self._catalog, statement)
        for schema, name, place in named["tables"]:
            found.add(schema, name, place)
        if named["shows_tables"]:
            found.names.add("tables")
        if "points" in found.names or found.flows:
            found.names.add("runs")
            self._describe_points(found, named["words"])
        for name in sorted(found.names & catalog_tables.SCHEMAS.keys()):
            self._add(name, catalog_tables.catalog_table(name, self._catalog.listing))
        if "tables" in found.names:
            self._add("tables", catalog_tables.list_of_tables(found.flow_views))

    def close(self) -> None:
        """Close the open files."""
        for file in self.files.values():
            os.close(file)
        self.files = {}

    def _describe_points(self, found: _Found, words: list[str] | None) -> None:
        self.snapshot = snapshot = self._store.snapshot()
        sources = [self._stored(file) for file in snapshot.files]
        self.paths = [each.path for each in sources]
        for number, day in enumerate(snapshot.hot_points()):
            sources += self._hot(f"__hot_{number}", day)
        if "points" in found.names:
            states = catalog_tables.enum_states(self._catalog.listing)
            if len(states):
                self._add(views.ENUM_STATES, states)
            self.statements += views.points_views(sources, words, has_enums=len(states) > 0)
        if found.flows:
            self.statements.append(views.raw_view(sources))
            for view in found.flows.values():
                self.statements += views.flow_view(view)

    def _stored(self, file: DataFile) -> PointSource:
        return PointSource(
            str(file.path.absolute()),
            "",
            self._facts.columns(file),
            Source(file.extent, is_once=self._facts.is_once(file)),
        )

    def _hot(self, name: str, day: DayOfPoints) -> Iterator[PointSource]:
        schema = write_schema(day.kinds, has_runs=day.has_runs)
        ids: list[str] = []
        times_ns: list[int] = []
        with _memory(name) as sink, pa.ipc.new_stream(sink, schema) as writer:
            for chunk in day.chunks:
                writer.write_table(chunk.to_table(schema))
                ids += (chunk.channel_id_min, chunk.channel_id_max)
                times_ns += (int(chunk.timestamps_ns.min()), int(chunk.timestamps_ns.max()))
            file = os.dup(sink.fileno())
        if not ids:
            os.close(file)
            return
        self.files[name] = file
        extent = Extent(0, min(ids), max(ids), min(times_ns), max(times_ns))
        yield PointSource("", name, frozenset(schema.names), Source(extent, is_once=True))

    def _add(self, name: str, table: Any) -> None:  # noqa: ANN401 (pyarrow has no types)
        with _memory(name) as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
            self.files[name] = os.dup(sink.fileno())


class _Found:
    """What of the tables that are there a statement names."""

    def __init__(self, catalog: Catalog, statement: str) -> None:
        self._catalog = catalog
        self._statement = statement
        self._flow_views: FlowViews | None = None
        self.names: set[str] = set()
        self.flows: dict[str, FlowView] = {}

    @property
    def flow_views(self) -> FlowViews:
        """The wide views that there are."""
        if self._flow_views is None:
            self._flow_views = catalog_tables.flow_views(self._catalog.listing)
        return self._flow_views

    def add(self, schema: str, name: str, place: int | None) -> None:
        """Find a table.

        Raises:
            InvalidArgumentError: It is not there.
        """
        if schema.lower() in ("", "main") and name.lower() in catalog_tables.ABOUT:
            self.names.add(name.lower())
            return
        view = self.flow_views.find(schema, name)
        if view is None:
            raise InvalidArgumentError(
                underlined(
                    f"there is no table {f'{schema}.{name}' if schema else name}; SHOW TABLES lists"
                    " what there is",
                    self._statement,
                    place,
                )
            )
        self.flows[view.sql_name] = view


def _memory(name: str) -> Any:  # noqa: ANN401 (any file)
    """A file that is in memory only, and gone when nobody has it open."""
    return os.fdopen(os.memfd_create(f"sift-sql-{name}"), "wb")
