"""Does jobs of one type in the background: one after the other, on one thread."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from sift_server.catalog import JobStatus

if TYPE_CHECKING:
    from sift_server.catalog import Catalog, Job, JobType

RETRY_INTERVAL_MS = 1_000
"""How long to wait after a job that could not be gone on with."""

SWEEP_INTERVAL_MS = 600_000
"""How often to look for files that are not needed any more, while there is nothing else to do."""

_logger = logging.getLogger(__name__)


class JobStoppedError(Exception):
    """The job was cancelled, or the server stops."""


class JobWorker(ABC):
    """Does the jobs of a type. Safe from many threads.

    A job that the end of the server interrupts is done again from the beginning.
    """

    def __init__(self, catalog: Catalog, job_type: JobType, what: str, thread_name: str) -> None:
        """Take the catalog, whose jobs to do, what to call them in the log, and the thread."""
        self._catalog = catalog
        self._job_type = job_type
        self._what = what
        self._changed = threading.Condition()
        self._is_stopping = False
        self._has_work = True
        self._running_job_id = ""
        self._is_cancelled = False
        """Whether the job that runs is to end."""
        self._thread = threading.Thread(target=self._run, name=thread_name, daemon=True)

    @abstractmethod
    def _sweep(self) -> None:
        """Remove files that are not needed any more."""

    @abstractmethod
    def _do(self, job: Job) -> None:
        """Do a job.

        Raises:
            JobStoppedError: `_goes_on` said no.
            Exception: It failed; `_failed` is told.
        """

    @abstractmethod
    def _failed(self, job: Job, error: Exception) -> None:
        """Give a job up, or back, after an error. Called while the error is handled."""

    def start(self) -> None:
        """Begin, with what was left before."""
        self._thread.start()

    def wake(self) -> None:
        """Tell that there is a job."""
        with self._changed:
            self._has_work = True
            self._changed.notify_all()

    def cancel(self, job_id: str) -> None:
        """End a job: at once if it waits, and as soon as it can be stopped if it runs.

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
                    self._catalog.jobs.recover(self._job_type)
                    is_recovered = True
                self._sweep()
                while not self._is_stopping:
                    job = self._catalog.jobs.claim(self._job_type)
                    if job is None:
                        break
                    self._do_or_give_up(job)
            except Exception:
                _logger.exception("%s could not be gone on with; trying again", self._what)
                self._wait_and_try_again()

    def _wait_for_work(self, timeout_ms: int) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._has_work or self._is_stopping, timeout_ms / 1_000)
            self._has_work = False
            return not self._is_stopping

    def _wait_and_try_again(self) -> None:
        with self._changed:
            self._has_work = True
            self._changed.wait_for(lambda: self._is_stopping, RETRY_INTERVAL_MS / 1_000)

    def _do_or_give_up(self, job: Job) -> None:
        jobs = self._catalog.jobs
        with self._changed:
            self._running_job_id, self._is_cancelled = job.job_id, False
        # From here on `cancel` knows that it runs; it may have come before.
        if jobs.get(job.job_id).status is JobStatus.CANCEL_REQUESTED:
            self._is_cancelled = True
        try:
            if not self._goes_on():
                raise JobStoppedError  # noqa: TRY301 - handled as one in the middle of it
            self._do(job)
        except JobStoppedError:
            if self._is_cancelled:
                jobs.end_cancelled(job.job_id)
            else:
                jobs.give_back(job.job_id)
        except Exception as error:  # noqa: BLE001 - `_failed` tells them apart
            self._failed(job, error)
        finally:
            with self._changed:
                self._running_job_id = ""

    def _goes_on(self) -> bool:
        return not (self._is_stopping or self._is_cancelled)
