"""One import: its file, read as its config says, on its way into the server."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sift_files import read
from sift_server.catalog import FlowConfig, ImportProgress, ListRequest, RunDraft
from sift_server.errors import AlreadyExistsError, InvalidArgumentError, ResourceExhaustedError
from sift_server.imports.points import ImportStoppedError, PointsIn

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sift_files import BadCell, Batch
    from sift_server.catalog import Catalog, DataImport
    from sift_server.imports.limits import ImportLimits
    from sift_server.imports.plan import ImportPlan
    from sift_server.ingest import Ingestor

PROGRESS_INTERVAL_MS = 1_000
"""How often the catalog is told how far an import is."""

_CLIENT_KEY = "sift-data-import-"


@dataclass(slots=True)
class _Warnings:
    """What is to be known of what was imported: the first ones, and how many more."""

    told_max: int
    told: list[str]
    untold: int = 0

    def add(self, text: str) -> None:
        if len(self.told) < self.told_max:
            self.told.append(text)
        else:
            self.untold += 1

    def all(self) -> tuple[str, ...]:
        more = [f"and {self.untold:,} more like these"] if self.untold else []
        return (*self.told, *more)


class FileImport:
    """The import of one file. For one thread, once."""

    def __init__(
        self,
        catalog: Catalog,
        ingestor: Ingestor,
        imported: DataImport,
        plan: ImportPlan,
        path: Path,
        goes_on: Callable[[], bool],
    ) -> None:
        """Take the import, what it is to do, its file, and whether to go on."""
        self._plan = plan
        self._catalog = catalog
        self._ingestor = ingestor
        self._import = imported
        self._path = path
        self._goes_on = goes_on
        self._progress = ImportProgress()
        self._asset_id = ""
        self._told_s = time.monotonic()

    def run(self, limits: ImportLimits) -> None:
        """Import the file, and say so in the catalog.

        Raises:
            ServerError: It can't be done; says why.
            FilesError: The file is not what its config says, or damaged.
            ImportStoppedError: It is to end, or to wait for the next start.
            LogFailedError: The log can't take any more.
        """
        data_imports, data_import_id = self._catalog.data_imports, self._import.data_import_id
        plan = self._plan
        warnings = _Warnings(limits.warnings_max, [])
        for text in plan.warnings:
            warnings.add(text)
        flows = _flows(plan)
        if not flows:
            raise InvalidArgumentError("the file has no column to import")
        if plan.points_total > limits.points_max:
            raise _too_many(limits)
        run_id = data_imports.begin(data_import_id, plan.run_name, plan.run_id).run_id or ""
        if run_id and plan.run_metadata:
            self._describe(run_id, plan)
        config_id = self._config(plan, flows)
        self._progress = ImportProgress(points_total=plan.points_total)
        points = PointsIn(self._ingestor, config_id, run_id, flows, self._goes_on)
        rows = 0
        try:
            for batch in read(
                self._path,
                plan.file,
                on_error=plan.on_error,
                on_bad_cell=lambda cell: warnings.add(self._shown(cell)),
            ):
                if not self._goes_on():
                    raise ImportStoppedError
                rows += batch.rows_read
                self._send(points, batch)
                if self._progress.points_processed > limits.points_max:
                    raise _too_many(limits)
                self._tell(warnings)
            points.settle()
        finally:
            # Whatever ends it: what came before is in.
            self._tell(warnings, at_once=True)
        if plan.rows_expected is not None and rows != plan.rows_expected:
            warnings.add(
                f"the config says num_rows = {plan.rows_expected:,}, and the file has {rows:,} rows"
            )
        done = self._progress.points_processed
        self._progress = replace(self._progress, points_total=done, warnings=warnings.all())
        data_imports.succeed(data_import_id, self._progress, self._asset_id)

    def _send(self, points: PointsIn, batch: Batch) -> None:
        count = points.send(batch.table, batch.times_ns, batch.columns)
        before = self._progress
        start_ns, stop_ns = before.data_start_ns, before.data_stop_ns
        if len(batch.times_ns):
            first, last = int(batch.times_ns.min()), int(batch.times_ns.max())
            start_ns = first if start_ns is None else min(start_ns, first)
            stop_ns = last if stop_ns is None else max(stop_ns, last)
        self._progress = replace(
            before,
            points_processed=before.points_processed + count,
            data_start_ns=start_ns,
            data_stop_ns=stop_ns,
        )

    def _tell(self, warnings: _Warnings, *, at_once: bool = False) -> None:
        now_s = time.monotonic()
        if at_once or now_s - self._told_s >= PROGRESS_INTERVAL_MS / 1_000:
            self._told_s = now_s
            self._progress = replace(self._progress, warnings=warnings.all())
            self._catalog.data_imports.advance(
                self._import.data_import_id, self._progress, self._asset_id
            )

    def _shown(self, cell: BadCell) -> str:
        return str(replace(cell, file=self._import.file_name or "the file"))

    def _describe(self, run_id: str, plan: ImportPlan) -> None:
        """Give the run the metadata that the file has for it; what else it has stays."""

        def described(draft: RunDraft) -> RunDraft:
            metadata = tuple({**dict(draft.attributes.metadata), **dict(plan.run_metadata)}.items())
            return replace(draft, attributes=replace(draft.attributes, metadata=metadata))

        self._catalog.runs.update(run_id, described)

    def _config(self, plan: ImportPlan, flows: list[FlowConfig]) -> str:
        """The ingestion config of the flows, which imports of like files share."""
        document = json.dumps([plan.asset_name, [repr(flow) for flow in flows]])
        client_key = _CLIENT_KEY + hashlib.sha256(document.encode()).hexdigest()[:32]
        configs = self._catalog.ingestion_configs
        try:
            config = configs.create(plan.asset_name, client_key, flows)
        except AlreadyExistsError:
            (config,) = configs.list(ListRequest(filter=f'client_key == "{client_key}"')).items
        self._asset_id = config.asset_id
        return config.ingestion_config_id


def _flows(plan: ImportPlan) -> list[FlowConfig]:
    return [
        FlowConfig(table.name, tuple(plan.channels[column.channel] for column in table.wanted))
        for table in plan.file.tables
        if table.wanted
    ]


def _too_many(limits: ImportLimits) -> ResourceExhaustedError:
    return ResourceExhaustedError(
        f"the file has more than points_max = {limits.points_max:,} points; import it in parts"
    )
