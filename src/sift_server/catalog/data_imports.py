"""Data imports: files that clients send, or have fetched, and what became of each.

How far one is, its job says. One whose file has not come yet has no job.
"""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, insert, or_, select, update

from sift_server.catalog import jobs, runs, tables
from sift_server.catalog.fields import Field, Filterable, Kind, named_numbers_field
from sift_server.catalog.jobs import JobStatus, JobType
from sift_server.catalog.paging import Listing, ListRequest, Page
from sift_server.errors import AlreadyExistsError, FailedPreconditionError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row

    from sift_server.catalog.context import Context
    from sift_server.catalog.jobs import Job

_columns = tables.data_imports.c
_jobs = tables.jobs.c


class ImportStatus(enum.IntEnum):
    """How far an import is; the numbers of `sift.data_imports.v2`."""

    PENDING = 1
    IN_PROGRESS = 2
    SUCCEEDED = 3
    FAILED = 4


_status = case(
    {
        JobStatus.RUNNING: ImportStatus.IN_PROGRESS,
        JobStatus.CANCEL_REQUESTED: ImportStatus.IN_PROGRESS,
        JobStatus.FINISHED: ImportStatus.SUCCEEDED,
        JobStatus.FAILED: ImportStatus.FAILED,
        JobStatus.CANCELLED: ImportStatus.FAILED,
    },
    value=_jobs.status,
    else_=ImportStatus.PENDING,
)
_WITH_JOB = select(tables.data_imports, _jobs.job_id, _status.label("status")).select_from(
    tables.data_imports.outerjoin(tables.jobs, _jobs.data_import_id == _columns.data_import_id)
)

DATA_IMPORT_FIELDS = Filterable(
    "data imports",
    {
        "data_import_id": Field(Kind.TEXT, _columns.data_import_id),
        "source_url": Field(Kind.TEXT, _columns.source_url),
        "status": named_numbers_field(
            _status, "DATA_IMPORT_STATUS_", [one.name for one in ImportStatus]
        ),
        "run_id": Field(Kind.TEXT, _columns.run_id, is_nullable=True),
        "asset_id": Field(Kind.TEXT, _columns.asset_id, is_nullable=True),
        "created_date": Field(Kind.TIME, _columns.created_ns),
        "modified_date": Field(Kind.TIME, _columns.modified_ns),
    },
)
_listing = Listing(DATA_IMPORT_FIELDS, "created_date", (_columns.sequence,))


@dataclass(frozen=True, slots=True)
class DataImport:
    """A data import. Times are nanoseconds since 1970 in UTC.

    Attributes:
        job_id: The job that does it; empty until its file is there.
        source_url: Where its file is fetched from; empty for one that is sent.
        config_kind: Which kind of config it has, such as `csv_config`.
        config_json: The config.
        file_name: What the client calls the file; for messages, never a path.
        file_digest: SHA-256 of the file; None until all of it is there.
        error_message: Why it failed.
        warnings: What is to be known of what was imported.
        run_id: The run of its points; None if they have none, or it is not begun.
        asset_id: The asset of its points; None if it is not begun.
        data_start_ns: The first time of a point; None if none is known.
        data_stop_ns: The last one.
        points_processed: How many points are durable.
        points_total: How many there are; 0 if that is not known yet.
    """

    data_import_id: str
    job_id: str
    source_url: str
    config_kind: str
    config_json: str
    file_name: str
    file_digest: bytes | None
    status: ImportStatus
    error_message: str
    warnings: tuple[str, ...]
    run_id: str | None
    asset_id: str | None
    data_start_ns: int | None
    data_stop_ns: int | None
    points_processed: int
    points_total: int
    created_ns: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class ImportProgress:
    """How much of an import is durable, see `DataImport`."""

    points_processed: int = 0
    points_total: int = 0
    data_start_ns: int | None = None
    data_stop_ns: int | None = None
    warnings: tuple[str, ...] = ()


class DataImports:
    """The data imports of the catalog. Safe from many threads; what returned is on disk."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def create(self, config_kind: str, config_json: str, source_url: str = "") -> DataImport:
        """Create an import; one from a URL has a job at once.

        Raises:
            ResourceExhaustedError: Too many jobs wait.
        """
        data_import_id, now_ns = self._context.new_id(), self._context.now_ns()
        with self._context.database.write() as connection:
            connection.execute(
                insert(tables.data_imports).values(
                    data_import_id=data_import_id,
                    source_url=source_url,
                    config_kind=config_kind,
                    config_json=config_json,
                    file_name="",
                    error_message="",
                    warnings_json="[]",
                    points_processed=0,
                    points_total=0,
                    created_ns=now_ns,
                    modified_ns=now_ns,
                )
            )
            if source_url:
                self._create_job(connection, data_import_id)
            return _get(connection, data_import_id)

    def get(self, data_import_id: str) -> DataImport:
        """Return an import.

        Raises:
            NotFoundError: There is none of that id.
        """
        with self._context.database.read() as connection:
            return _get(connection, data_import_id)

    def list(self, request: ListRequest) -> Page[DataImport]:
        """Return a page of the imports; the oldest first, if not asked otherwise.

        Raises:
            InvalidArgumentError: Filter, order or page token are wrong.
        """
        with self._context.database.read() as connection:
            page = _listing.page(connection, _WITH_JOB, request, self._context.now_ns())
        return Page([_data_import(row) for row in page.items], page.next_token)

    def of_jobs(self, some: Sequence[Job]) -> dict[str, DataImport]:
        """Return the imports that jobs of a page do, by their ids."""
        ids = [job.data_import_id for job in some if job.data_import_id]
        if not ids:
            return {}
        with self._context.database.read() as connection:
            rows = connection.execute(_WITH_JOB.where(_columns.data_import_id.in_(ids)))
            return {row.data_import_id: _data_import(row) for row in rows}

    def receive(self, data_import_id: str, file_name: str, digest: bytes) -> DataImport:
        """Say that the file of an import is there: now it has a job.

        Raises:
            NotFoundError: There is no such import.
            AlreadyExistsError: It has a file.
            ResourceExhaustedError: Too many jobs wait.
        """
        with self._context.database.write() as connection:
            if _get(connection, data_import_id).job_id:
                raise AlreadyExistsError(
                    f"the data import {data_import_id!r} has its file; create another data import"
                    " for another file"
                )
            self._set(connection, data_import_id, file_name=file_name, file_digest=digest)
            self._create_job(connection, data_import_id)
            return _get(connection, data_import_id)

    def begin(self, data_import_id: str, run_name: str, run_id: str) -> DataImport:
        """Have the run that an import goes into; one of a name is created the first time.

        Raises:
            NotFoundError: There is no run of that id.
        """
        with self._context.database.write() as connection:
            known = _get(connection, data_import_id)
            if run_id:
                runs.check_there(connection, run_id)
            elif known.run_id is not None:
                run_id = known.run_id
            elif run_name:
                run_id = runs.create(connection, self._context, runs.RunDraft(run_name)).run_id
            self._set(connection, data_import_id, run_id=run_id or None)
            return _get(connection, data_import_id)

    def fetched(self, data_import_id: str, file_name: str, digest: bytes) -> None:
        """Say that the file behind the URL of an import was fetched."""
        with self._context.database.write() as connection:
            self._set(connection, data_import_id, file_name=file_name, file_digest=digest)

    def advance(self, data_import_id: str, progress: ImportProgress, asset_id: str) -> None:
        """Say how far an import is."""
        with self._context.database.write() as connection:
            self._advance(connection, data_import_id, progress, asset_id)

    def succeed(self, data_import_id: str, progress: ImportProgress, asset_id: str) -> None:
        """End an import, and its job: all of it is durable."""
        with self._context.database.write() as connection:
            self._advance(connection, data_import_id, progress, asset_id)
            job_id = _get(connection, data_import_id).job_id
            jobs.set_values(
                connection, self._context, job_id, status=JobStatus.FINISHED,
                completed_ns=self._context.now_ns(),
            )  # fmt: skip

    def job_id(self, data_import_id: str) -> str:
        """Return the id of the job of an import.

        Raises:
            NotFoundError: There is no such import.
            FailedPreconditionError: It has none yet.
        """
        job_id = self.get(data_import_id).job_id
        if not job_id:
            raise FailedPreconditionError(
                f"the file of the data import {data_import_id!r} has not come yet; send it to its"
                " upload_url"
            )
        return job_id

    def with_files(self, failed_since_ns: int) -> set[str]:
        """Return the ids of imports whose file is needed, or may be once they are retried."""
        query = (
            select(_jobs.data_import_id)
            .where(_jobs.data_import_id.is_not(None), _jobs.status != JobStatus.FINISHED)
            .where(or_(_jobs.completed_ns.is_(None), _jobs.completed_ns >= failed_since_ns))
        )
        with self._context.database.read() as connection:
            return set(connection.execute(query).scalars())

    def _create_job(self, connection: Connection, data_import_id: str) -> None:
        jobs.create(
            connection, self._context, JobType.DATA_IMPORT, data_import_id=data_import_id
        )  # fmt: skip

    def _advance(
        self, connection: Connection, data_import_id: str, progress: ImportProgress, asset_id: str
    ) -> None:
        self._set(
            connection,
            data_import_id,
            asset_id=asset_id or None,
            points_processed=progress.points_processed,
            points_total=progress.points_total,
            data_start_ns=progress.data_start_ns,
            data_stop_ns=progress.data_stop_ns,
            warnings_json=json.dumps(progress.warnings),
        )

    def _set(self, connection: Connection, data_import_id: str, **values: object) -> None:
        connection.execute(
            update(tables.data_imports)
            .where(_columns.data_import_id == data_import_id)
            .values(modified_ns=self._context.now_ns(), **values)
        )


def _get(connection: Connection, data_import_id: str) -> DataImport:
    query = _WITH_JOB.where(_columns.data_import_id == data_import_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFoundError(
            f"there is no data import with the id {data_import_id!r}; list the data imports to"
            " find it"
        )
    return _data_import(row)


def _data_import(row: Row[Any]) -> DataImport:
    return DataImport(
        row.data_import_id,
        row.job_id or "",
        row.source_url,
        row.config_kind,
        row.config_json,
        row.file_name,
        row.file_digest,
        ImportStatus(row.status),
        row.error_message,
        tuple(json.loads(row.warnings_json)),
        row.run_id,
        row.asset_id,
        row.data_start_ns,
        row.data_stop_ns,
        row.points_processed,
        row.points_total,
        row.created_ns,
        row.modified_ns,
    )
