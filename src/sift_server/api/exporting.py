"""What exports need, put together: where points come from, who writes, and who gives files."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format

from sift_py.data._pieces import QUERIES_PER_CALL, about_of, with_queries
from sift_server.api.arrow import DataQuestions
from sift_server.api.export_plans import ExportPlans
from sift_server.exports import ExportFolder, ExportLimits, ExportWorker, Tickets

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from sift.data.v2.data_pb2 import GetDataRequest
    from sift_py.data._pieces import About
    from sift_server.catalog import Catalog
    from sift_server.lake import PointStore


@dataclass(frozen=True, slots=True)
class Exporting:
    """What exports need.

    Attributes:
        plans: What requests ask for.
        worker: What makes files.
        folder: Where they are.
        tickets: What URLs of them are good for.
    """

    plans: ExportPlans
    worker: ExportWorker
    folder: ExportFolder
    tickets: Tickets

    @classmethod
    def over(
        cls, catalog: Catalog, store: PointStore, path: Path, limits: ExportLimits
    ) -> Exporting:
        """Put it together; nothing runs yet."""
        plans, folder = ExportPlans(catalog, store), ExportFolder(path, limits)
        worker = ExportWorker(catalog, StoredPieces(catalog, store), folder, plans.of_json)
        return cls(plans, worker, folder, Tickets(limits, time.monotonic_ns))


class StoredPieces:
    """The points of this server, as the Arrow door gives them, without going through it."""

    def __init__(self, catalog: Catalog, store: PointStore) -> None:
        self._questions = DataQuestions(catalog, store)

    def read(self, request: GetDataRequest, /) -> Generator[tuple[About, Any]]:
        """All that a request is about."""
        queries = list(request.queries)
        for first in range(0, len(queries), QUERIES_PER_CALL):
            asking = with_queries(request, queries[first : first + QUERIES_PER_CALL])
            for schema, batches in self._questions(json_format.MessageToDict(asking)):
                document = json.loads(schema.metadata[b"sift"])
                document["query"] += first
                about = about_of(document)
                for batch in batches:
                    yield about, batch

    def first(self, request: GetDataRequest, /) -> tuple[About, Any] | None:
        """Some of it."""
        found = self.read(request)
        try:
            return next(found, None)
        finally:
            found.close()
