"""Does exports in the background: one job after the other, on one thread.

A job that the end of the server interrupts is done again from the beginning.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from sift_files import FilesError
from sift_server.catalog import JobStatus, JobType
from sift_server.errors import DiskFullError, ServerError, is_disk_full
from sift_server.exports.plan import ExportPlan
from sift_server.exports.writing import ExportStoppedError, ExportWriting

if TYPE_CHECKING:
    from pathlib import Path

    from sift_py.data.iteration import Pieces
    from sift_server.catalog import Catalog, Job
    from sift_server.exports.folder import ExportFolder

RETRY_INTERVAL_MS = 1_000
"""How long to wait after a job that could not be gone on with."""

SWEEP_INTERVAL_MS = 600_000
"""How often to look for files that are too old, while there is nothing else to do."""

PlanOf = Callable[[str], ExportPlan]
"""What an export is to do, by the JSON of its request. Raises `ServerError` if that can't be."""

_FAILED = "exporting failed inside the server; its log says why"
_FULL = "the disk has no room for the export; free some space, and retry the job"
_logger = logging.getLogger(__name__)


class ExportWorker:
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
        self._catalog = catalog
        self._pieces = pieces
        self._folder = folder
        self._plan_of = plan_of
        self._changed = threading.Condition()
        self._is_stopping = False
        self._has_work = True
        self._running_job_id = ""
        self._is_cancelled = False
        """Whether the job that runs is to end."""
        self._thread = threading.Thread(target=self._run, name="sift-exports", daemon=True)

    def start(self) -> None:
        """Begin, with what was left before."""
        self._thread.start()

    def wake(self) -> None:
        """Tell that there is a job."""
        with self._changed:
            self._has_work = True
            self._changed.notify_all()

    def cancel(self, job_id: str) -> None:
        """End a job: at once if it waits, and between two spans if it runs.

        Raises:
            NotFoundError: There is no job of that id.
        """
        self._catalog.jobs.cancel(job_id)
        with self._changed:
            if job_id == self._running_job_id:
                self._is_cancelled = True

    def retry(self, job_id: str) -> Job:
        """Do a job again that failed or was cancelled.

        Raises:
            NotFoundError: There is no such job.
            FailedPreconditionError: It is not at its end, or did all.
            ResourceExhaustedError: Too many jobs wait.
        """
        job = self._catalog.jobs.retry(job_id)
        self.wake()
        return job

    def ask_to_stop(self) -> None:
        """Have the thread end soon."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()

    def stop(self) -> None:
        """End the thread; the job that runs is done again at the next start."""
        self.ask_to_stop()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        is_recovered = False
        while self._wait_for_work(SWEEP_INTERVAL_MS if is_recovered else 0):
            try:
                if not is_recovered:
                    self._catalog.jobs.recover(JobType.DATA_EXPORT)
                    is_recovered = True
                self._folder.sweep(time.time_ns())
                while not self._is_stopping:
                    job = self._catalog.jobs.claim(JobType.DATA_EXPORT)
                    if job is None:
                        break
                    self._do_or_give_up(job.job_id)
            except Exception:
                _logger.exception("exports could not be gone on with; trying again")
                with self._changed:
                    self._has_work = True
                    self._changed.wait_for(lambda: self._is_stopping, RETRY_INTERVAL_MS / 1_000)

    def _wait_for_work(self, timeout_ms: int) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._has_work or self._is_stopping, timeout_ms / 1_000)
            self._has_work = False
            return not self._is_stopping

    def _do_or_give_up(self, job_id: str) -> None:
        jobs = self._catalog.jobs
        with self._changed:
            self._running_job_id, self._is_cancelled = job_id, False
        # From here on `cancel` knows that it runs; it may have come before.
        if jobs.get(job_id).status is JobStatus.CANCEL_REQUESTED:
            self._is_cancelled = True
        try:
            self._do(job_id)
        except ExportStoppedError:
            if self._is_cancelled:
                jobs.end_cancelled(job_id)
            else:
                jobs.give_back(job_id)
        except (ServerError, FilesError) as error:
            jobs.give_up(job_id, _FULL if isinstance(error, DiskFullError) else str(error))
        except Exception as error:
            _logger.exception("the export %s failed", job_id)
            jobs.give_up(job_id, _FULL if is_disk_full(error) else _FAILED)
        finally:
            with self._changed:
                self._running_job_id = ""

    def _do(self, job_id: str) -> None:
        if not self._goes_on():
            raise ExportStoppedError
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

    def _goes_on(self) -> bool:
        return not (self._is_stopping or self._is_cancelled)
