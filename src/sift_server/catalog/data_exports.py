"""Data exports: what clients asked for, and the file that was made of it.

How far one is, its job says, whose id is also its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from sift_server.catalog import jobs, tables
from sift_server.catalog.jobs import JobStatus, JobType
from sift_server.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from sift_server.catalog.context import Context
    from sift_server.catalog.jobs import Job

_columns = tables.data_exports.c


@dataclass(frozen=True, slots=True)
class DataExport:
    """A data export.

    Attributes:
        job_id: The job that does it.
        request_json: What was asked for.
        file_name: Name of the file, for whoever fetches it; empty until it is there.
        error_message: Why it failed.
    """

    job_id: str
    request_json: str
    file_name: str
    error_message: str


class DataExports:
    """The data exports of the catalog. Safe from many threads; what returned is on disk."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def create(self, request_json: str) -> str:
        """Ask for an export; gives the id of its job.

        Raises:
            ResourceExhaustedError: Too many jobs wait.
        """
        with self._context.database.write() as connection:
            job_id = jobs.create(connection, self._context, JobType.DATA_EXPORT)
            connection.execute(
                insert(tables.data_exports).values(
                    job_id=job_id, request_json=request_json, file_name="", error_message=""
                )
            )
            return job_id

    def get(self, job_id: str) -> DataExport:
        """Return an export.

        Raises:
            NotFoundError: There is none of that id.
        """
        with self._context.database.read() as connection:
            query = select(tables.data_exports).where(_columns.job_id == job_id)
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFoundError(
                f"there is no export with the job id {job_id!r}; ExportData answers with it"
            )
        return _data_export(row)

    def of_jobs(self, some: Sequence[Job]) -> dict[str, DataExport]:
        """Return the exports that jobs of a page do, by the ids of the jobs."""
        ids = [job.job_id for job in some if job.job_type is JobType.DATA_EXPORT]
        if not ids:
            return {}
        with self._context.database.read() as connection:
            query = select(tables.data_exports).where(_columns.job_id.in_(ids))
            return {row.job_id: _data_export(row) for row in connection.execute(query)}

    def succeed(self, job_id: str, file_name: str) -> None:
        """End an export, and its job: its file is there."""
        with self._context.database.write() as connection:
            connection.execute(
                update(tables.data_exports)
                .where(_columns.job_id == job_id)
                .values(file_name=file_name, error_message="")
            )
            jobs.set_values(
                connection, self._context, job_id, status=JobStatus.FINISHED,
                completed_ns=self._context.now_ns(),
            )  # fmt: skip


def _data_export(row: Row[Any]) -> DataExport:
    return DataExport(row.job_id, row.request_json, row.file_name, row.error_message)
