"""Does exports in the background: one job after the other, on one thread.

A job that the end of the server interrupts is done again from the beginning.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from sift_files import FilesError
from sift_server.catalog import JobType
from sift_server.errors import DiskFullError, ServerError, is_disk_full
from sift_server.exports.plan import ExportPlan
from sift_server.exports.writing import ExportStoppedError, ExportWriting
from sift_server.job_worker import JobWorker

if TYPE_CHECKING:
    from pathlib import Path

    from sift_py.data.iteration import Pieces
    from sift_server.catalog import Catalog, Job
    from sift_server.exports.folder import ExportFolder

PlanOf = Callable[[str], ExportPlan]
"""What an export is to do, by the JSON of its request. Raises `ServerError` if that can't be."""

_FAILED = "exporting failed inside the server; its log says why"
_FULL = "the disk has no room for the export; free some space, and retry the job"
_logger = logging.getLogger(__name__)


class ExportWorker(JobWorker):
    """Does the jobs of exports. Safe from many threads."""

    def __init__(
        self, catalog: Catalog, pieces: Pieces, folder: ExportFolder, plan_of: PlanOf
    ) -> None:
        """Take the rooms around.

        Args:
            catalog: The catalog.
            pieces: Where points come from.
            folder: Where files go.
            plan_of: Says what to do.
        """
        super().__init__(catalog, JobType.DATA_EXPORT, "exports", "sift-exports")
        self._pieces = pieces
        self._folder = folder
        self._plan_of = plan_of

    def _sweep(self) -> None:
        self._folder.sweep(time.time_ns())

    def _failed(self, job: Job, error: Exception) -> None:
        jobs = self._catalog.jobs
        if isinstance(error, ServerError | FilesError):
            jobs.give_up(job.job_id, _FULL if isinstance(error, DiskFullError) else str(error))
        else:
            _logger.error("the export %s failed", job.job_id, exc_info=error)
            jobs.give_up(job.job_id, _FULL if is_disk_full(error) else _FAILED)

    def _do(self, job: Job) -> None:
        job_id = job.job_id
        plan = self._plan_of(self._catalog.data_exports.get(job_id).request_json)
        with self._folder.begun(job_id) as folder:
            self._folder.check_room(folder)
            writing = ExportWriting(
                self._pieces, self._folder.limits.batch_points, lambda: self._on_span(folder)
            )
            made = writing.write(plan, folder)
            self._folder.keep(job_id, made)
        self._catalog.data_exports.succeed(job_id, made.name)

    def _on_span(self, folder: Path) -> None:
        if not self._goes_on():
            raise ExportStoppedError
        self._folder.check_room(folder)
