"""`sift.jobs.v1.JobService`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift.jobs.v1 import jobs_pb2
from sift_server.api.services.convert import list_request, to_timestamp

if TYPE_CHECKING:
    from sift_server.catalog import Catalog, Job
    from sift_server.rules import RunReports


class JobService:
    """Lists, cancels and retries jobs."""

    SERVICE_NAME = "sift.jobs.v1.JobService"

    def __init__(self, catalog: Catalog, reports: RunReports) -> None:
        self._jobs = catalog.jobs
        self._reports = reports

    def list_jobs(self, request: jobs_pb2.ListJobsRequest) -> jobs_pb2.ListJobsResponse:
        """Return a page of the jobs."""
        page = self._jobs.list(list_request(request))
        return jobs_pb2.ListJobsResponse(
            jobs=map(_message, page.items), next_page_token=page.next_token
        )

    def cancel_job(self, request: jobs_pb2.CancelJobRequest) -> jobs_pb2.CancelJobResponse:
        """End a job; one that ended stays as it is."""
        self._reports.cancel_job(request.job_id)
        return jobs_pb2.CancelJobResponse()

    def retry_job(self, request: jobs_pb2.RetryJobRequest) -> jobs_pb2.RetryJobResponse:
        """Begin a job again that failed or was cancelled."""
        return jobs_pb2.RetryJobResponse(job=_message(self._reports.retry_job(request.job_id)))


def _message(job: Job) -> jobs_pb2.Job:
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
    message.job_status_details.rule_evaluation.SetInParent()
    message.job_details.rule_evaluation.report_id = job.report_id
    return message
