"""Does data imports in the background: one job after the other, on one thread.

A job that the end of the server interrupts is done again from the beginning: the same points are
the same points.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from sift_files import FilesError
from sift_server.catalog import JobStatus, JobType
from sift_server.errors import DiskFullError, NotFoundError, ServerError, is_disk_full
from sift_server.imports.fetching import fetch
from sift_server.imports.plan import ImportPlan
from sift_server.imports.points import ImportStoppedError
from sift_server.imports.reading import FileImport
from sift_server.log import LogFailedError

if TYPE_CHECKING:
    from pathlib import Path

    from sift_server.catalog import Catalog, Job
    from sift_server.imports.fetching import UrlPolicy
    from sift_server.imports.uploads import UploadFolder
    from sift_server.ingest import Ingestor

RETRY_INTERVAL_MS = 1_000
"""How long to wait after a job that could not be gone on with, because the disk is full."""

SWEEP_INTERVAL_MS = 600_000
"""How often to look for files that are not needed any more, while there is nothing else to do."""

PlanOf = Callable[[str, str, "Path"], ImportPlan]
"""What an import is to do, by kind and JSON of its config, and its file. Raises `ServerError` or
`FilesError` where the config does not fit the file."""

_FAILED = "importing it failed inside the server; its log says why"
_logger = logging.getLogger(__name__)


class ImportWorker:
    """Does the jobs of data imports. Safe from many threads."""

    def __init__(
        self,
        catalog: Catalog,
        ingestor: Ingestor,
        uploads: UploadFolder,
        urls: UrlPolicy,
        plan_of: PlanOf,
    ) -> None:
        """Take the rooms around.

        Args:
            catalog: The catalog.
            ingestor: The way in for points.
            uploads: The files.
            urls: Which URLs may be fetched.
            plan_of: Says what to do with a file.
        """
        self._catalog = catalog
        self._ingestor = ingestor
        self._uploads = uploads
        self.urls = urls
        """Which URLs files are fetched from."""
        self._plan_of = plan_of
        self._changed = threading.Condition()
        self._is_stopping = False
        self._has_work = True
        self._running_job_id = ""
        self._is_cancelled = False
        """Whether the job that runs is to end."""
        self._thread = threading.Thread(target=self._run, name="sift-imports", daemon=True)

    def start(self) -> None:
        """Begin, with what was left before."""
        self._thread.start()

    def wake(self) -> None:
        """Tell that there is a job."""
        with self._changed:
            self._has_work = True
            self._changed.notify_all()

    def cancel(self, job_id: str) -> None:
        """End a job: at once if it waits, and between two batches of rows if it runs.

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
        while self._wait_for_work(0 if not is_recovered else SWEEP_INTERVAL_MS):
            try:
                if not is_recovered:
                    self._catalog.jobs.recover(JobType.DATA_IMPORT)
                    is_recovered = True
                self._sweep()
                while not self._is_stopping:
                    job = self._catalog.jobs.claim(JobType.DATA_IMPORT)
                    if job is None:
                        break
                    self._do_or_give_up(job)
            except Exception:
                _logger.exception("data imports could not be gone on with; trying again")
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

    def _sweep(self) -> None:
        kept_ns = self._uploads.limits.failed_kept_s * 1_000_000_000
        self._uploads.sweep(self._catalog.data_imports.with_files(time.time_ns() - kept_ns))

    def _do_or_give_up(self, job: Job) -> None:
        jobs = self._catalog.jobs
        with self._changed:
            self._running_job_id, self._is_cancelled = job.job_id, False
        # From here on `cancel` knows that it runs; it may have come before.
        if jobs.get(job.job_id).status is JobStatus.CANCEL_REQUESTED:
            self._is_cancelled = True
        try:
            self._do(job.data_import_id)
        except ImportStoppedError:
            if self._is_cancelled:
                jobs.end_cancelled(job.job_id)
            else:
                jobs.give_back(job.job_id)
        except (DiskFullError, LogFailedError) as error:
            # Not the fault of the file; the server goes on when the disk does.
            _logger.warning("the data import %s waits: %s", job.data_import_id, error)
            jobs.give_back(job.job_id)
            self._wait_and_try_again()
        except (ServerError, FilesError) as error:
            jobs.give_up(job.job_id, self._in_words(job.data_import_id, error))
        except Exception as error:
            if is_disk_full(error):
                jobs.give_back(job.job_id)
                self._wait_and_try_again()
                return
            _logger.exception("the data import %s failed", job.data_import_id)
            jobs.give_up(job.job_id, _FAILED)
        finally:
            with self._changed:
                self._running_job_id = ""

    def _do(self, data_import_id: str) -> None:
        if not self._goes_on():
            raise ImportStoppedError
        imported = self._catalog.data_imports.get(data_import_id)
        path = self._uploads.path_of(data_import_id)
        if imported.source_url and not path.exists():
            self._fetch(data_import_id, imported.source_url)
            imported = self._catalog.data_imports.get(data_import_id)
        if not path.exists():
            raise NotFoundError(
                "the file of this data import is not there any more; create another one, and"
                " upload the file again"
            )
        plan = self._plan_of(imported.config_kind, imported.config_json, path)
        FileImport(self._catalog, self._ingestor, imported, plan, path, self._goes_on).run(
            self._uploads.limits
        )
        self._uploads.remove(data_import_id)

    def _fetch(self, data_import_id: str, url: str) -> None:
        limits = self._uploads.limits
        with self._uploads.begin(data_import_id) as upload:
            name = fetch(url, self.urls, upload, limits.silence_ms_max, self._goes_on)
            if not self._goes_on():
                raise ImportStoppedError
            digest = upload.digest()
            upload.keep()
            self._catalog.data_imports.fetched(data_import_id, name, digest)

    def _in_words(self, data_import_id: str, error: Exception) -> str:
        """A message with the client's name of the file in place of ours."""
        name = self._catalog.data_imports.get(data_import_id).file_name or "the file"
        path = self._uploads.path_of(data_import_id)
        return str(error).replace(str(path), name).replace(data_import_id, name)

    def _goes_on(self) -> bool:
        return not (self._is_stopping or self._is_cancelled)
