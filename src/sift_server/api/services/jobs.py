"""`sift.jobs.v1.JobService`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf import json_format

from sift.jobs.v1 import jobs_pb2
from sift_server.api.services.convert import list_request, to_timestamp
from sift_server.catalog import JobType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sift_server.catalog import Catalog, DataExport, DataImport, Job
    from sift_server.exports import ExportWorker
    from sift_server.imports import ImportWorker
    from sift_server.rules import RunReports


class JobService:
    """Lists, cancels and retries jobs."""

    SERVICE_NAME = "sift.jobs.v1.JobService"

    def __init__(
        self, catalog: Catalog, reports: RunReports, imports: ImportWorker, exports: ExportWorker
    ) -> None:
        self._jobs = catalog.jobs
        self._data_imports = catalog.data_imports
        self._data_exports = catalog.data_exports
        self._cancel = {
            JobType.RULE_EVALUATION: reports.cancel_job,
            JobType.DATA_IMPORT: imports.cancel,
            JobType.DATA_EXPORT: exports.cancel,
        }
        self._retry = {
            JobType.RULE_EVALUATION: reports.retry_job,
            JobType.DATA_IMPORT: imports.retry,
            JobType.DATA_EXPORT: exports.retry,
        }

    def list_jobs(self, request: jobs_pb2.ListJobsRequest) -> jobs_pb2.ListJobsResponse:
        """Return a page of the jobs."""
        page = self._jobs.list(list_request(request))
        return jobs_pb2.ListJobsResponse(
            jobs=self._messages(page.items), next_page_token=page.next_token
        )

    def cancel_job(self, request: jobs_pb2.CancelJobRequest) -> jobs_pb2.CancelJobResponse:
        """End a job; one that ended stays as it is."""
        self._cancel[self._jobs.get(request.job_id).job_type](request.job_id)
        return jobs_pb2.CancelJobResponse()

    def retry_job(self, request: jobs_pb2.RetryJobRequest) -> jobs_pb2.RetryJobResponse:
        """Begin a job again that failed or was cancelled."""
        job = self._retry[self._jobs.get(request.job_id).job_type](request.job_id)
        return jobs_pb2.RetryJobResponse(job=self._messages([job])[0])

    def _messages(self, some: Sequence[Job]) -> list[jobs_pb2.Job]:
        imports, exports = self._data_imports.of_jobs(some), self._data_exports.of_jobs(some)
        return [
            _message(job, imports.get(job.data_import_id), exports.get(job.job_id)) for job in some
        ]


def _message(job: Job, imported: DataImport | None, exported: DataExport | None) -> jobs_pb2.Job:
    message = jobs_pb2.Job(
        job_id=job.job_id,
        organization_id=job.organization_id,
        created_by_user_id=job.created_by_user_id,
        modified_by_user_id=job.modified_by_user_id,
        created_date=to_timestamp(job.created_ns),
        modified_date=to_timestamp(job.modified_ns),
        started_date=to_timestamp(job.started_ns),
        completed_date=to_timestamp(job.completed_ns),
        job_type=jobs_pb2.JobType.ValueType(job.job_type),
        job_status=jobs_pb2.JobStatus.ValueType(job.status),
    )
    if imported is not None:
        progress = message.job_status_details.data_import
        progress.points_processed = imported.points_processed
        progress.points_total = imported.points_total
        progress.SetInParent()
        message.job_details.data_import.data_import_id = job.data_import_id
    elif exported is not None:
        message.job_status_details.data_export.error_message = exported.error_message
        message.job_status_details.data_export.SetInParent()
        details = message.job_details.data_export
        json_format.Parse(exported.request_json, details.request)
        details.storage_key = exported.file_name
    else:
        message.job_status_details.rule_evaluation.SetInParent()
        message.job_details.rule_evaluation.report_id = job.report_id
    return message
