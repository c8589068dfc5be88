"""`sift.exports.v1.ExportService`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from google.protobuf import json_format

from sift.exports.v1 import exports_pb2 as pb
from sift_server.api.called_at import url_of
from sift_server.api.downloads import DOWNLOADS_PREFIX
from sift_server.catalog import JobStatus
from sift_server.errors import FailedPreconditionError, NotFoundError

if TYPE_CHECKING:
    from sift_server.api.exporting import Exporting
    from sift_server.catalog import Catalog


class ExportService:
    """Exports points to files, and says where to fetch them."""

    SERVICE_NAME = "sift.exports.v1.ExportService"

    def __init__(self, catalog: Catalog, exporting: Exporting) -> None:
        self._catalog = catalog
        self._plans = exporting.plans
        self._worker = exporting.worker
        self._folder = exporting.folder
        self._tickets = exporting.tickets

    def export_data(self, request: pb.ExportDataRequest) -> pb.ExportDataResponse:
        """Ask for files; the job in the answer makes them."""
        # What can't be done is told now.
        self._plans.plan(request)
        text = json_format.MessageToJson(request, indent=None)
        job_id = self._catalog.data_exports.create(text)
        self._worker.wake()
        return pb.ExportDataResponse(job_id=job_id)

    def get_download_url(self, request: pb.GetDownloadUrlRequest) -> pb.GetDownloadUrlResponse:
        """Return a URL of the file that a job made. It needs no key, and is good for a while."""
        export = self._catalog.data_exports.get(request.job_id)
        status = self._catalog.jobs.get(request.job_id).status
        if status is not JobStatus.FINISHED:
            why = f": {export.error_message}" if export.error_message else ""
            raise FailedPreconditionError(
                f"the export {request.job_id!r} has no file, it is {status.name}{why}"
            )
        if not self._folder.path_of(request.job_id).exists():
            hours = self._folder.limits.kept_s // 3_600
            raise NotFoundError(
                f"the file of the export {request.job_id!r} is not there any more: files are kept"
                f" for {hours} h, and the oldest make room for others. Export again"
            )
        ticket = self._tickets.issue(request.job_id)
        path = f"{DOWNLOADS_PREFIX}{ticket}/{quote(export.file_name, safe='')}"
        return pb.GetDownloadUrlResponse(presigned_url=url_of(path))
