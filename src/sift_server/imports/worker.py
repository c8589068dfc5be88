"""Does data imports in the background: one job after the other, on one thread.

A job that the end of the server interrupts is done again from the beginning: the same points are
the same points.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from sift_files import FilesError
from sift_server.catalog import JobType
from sift_server.errors import NotFoundError, ServerError, is_disk_full
from sift_server.imports.fetching import fetch
from sift_server.imports.plan import ImportPlan
from sift_server.imports.points import ImportStoppedError
from sift_server.imports.reading import FileImport
from sift_server.job_worker import JobWorker
from sift_server.log import LogFailedError

if TYPE_CHECKING:
    from pathlib import Path

    from sift_server.catalog import Catalog, Job
    from sift_server.imports.fetching import UrlPolicy
    from sift_server.imports.uploads import UploadFolder
    from sift_server.ingest import Ingestor

PlanOf = Callable[[str, str, "Path"], ImportPlan]
"""What an import is to do, by kind and JSON of its config, and its file. Raises `ServerError` or
`FilesError` where the config does not fit the file."""

_FAILED = "importing it failed inside the server; its log says why"
_logger = logging.getLogger(__name__)


class ImportWorker(JobWorker):
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
        super().__init__(catalog, JobType.DATA_IMPORT, "data imports", "sift-imports")
        self._ingestor = ingestor
        self._uploads = uploads
        self.urls = urls
        """Which URLs files are fetched from."""
        self._plan_of = plan_of

    def _sweep(self) -> None:
        kept_ns = self._uploads.limits.failed_kept_s * 1_000_000_000
        self._uploads.sweep(self._catalog.data_imports.with_files(time.time_ns() - kept_ns))

    def _failed(self, job: Job, error: Exception) -> None:
        jobs = self._catalog.jobs
        if isinstance(error, LogFailedError) or is_disk_full(error):
            # Not the fault of the file; the server goes on when the disk does.
            _logger.warning("the data import %s waits: %s", job.data_import_id, error)
            jobs.give_back(job.job_id)
            self._wait_and_try_again()
        elif isinstance(error, ServerError | FilesError):
            jobs.give_up(job.job_id, self._in_words(job.data_import_id, error))
        else:
            _logger.error("the data import %s failed", job.data_import_id, exc_info=error)
            jobs.give_up(job.job_id, _FAILED)

    def _do(self, job: Job) -> None:
        data_import_id = job.data_import_id
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
