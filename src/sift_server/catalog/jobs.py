"""Jobs: what is asked for and takes its time, in the order in which it was asked for.

A job is durable: one that was not begun, or was interrupted, is there after the next start.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select, update

from sift_server.catalog import export_ends, import_ends, report_rules, tables, users
from sift_server.catalog.fields import Field, Filterable, Kind, named_numbers_field
from sift_server.catalog.paging import Listing, ListRequest, Page
from sift_server.catalog.report_rows import UNFINISHED, RuleStatus
from sift_server.errors import (
    FailedPreconditionError,
    NotFoundError,
    ResourceExhaustedError,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from sift_server.catalog.context import Context

JOBS_WAITING_MAX = 1_000
"""How many jobs may wait to be begun."""

JOB_STARTS_MAX = 3
"""How often a job is begun that the end of the server interrupts each time."""

_columns = tables.jobs.c


class JobStatus(enum.IntEnum):
    """How far a job is; the numbers of `sift.jobs.v1`."""

    CREATED = 1
    RUNNING = 2
    FINISHED = 3
    FAILED = 4
    CANCELLED = 5
    CANCEL_REQUESTED = 6


class JobType(enum.IntEnum):
    """What a job does; the numbers of `sift.jobs.v1`."""

    RULE_EVALUATION = 1
    DATA_IMPORT = 2
    DATA_EXPORT = 3


JOB_FIELDS = Filterable(
    "jobs",
    {
        "job_id": Field(Kind.TEXT, _columns.job_id),
        "job_status": named_numbers_field(
            _columns.status, "JOB_STATUS_", [one.name for one in JobStatus]
        ),
        "job_type": named_numbers_field(
            _columns.job_type, "JOB_TYPE_", ("RULE_EVALUATION", "DATA_IMPORT", "DATA_EXPORT")
        ),
        "report_id": Field(Kind.TEXT, _columns.report_id, is_nullable=True),
        "organization_id": Field(Kind.TEXT, _columns.organization_id),
        "created_by_user_id": Field(Kind.TEXT, _columns.created_by_user_id),
        "modified_by_user_id": Field(Kind.TEXT, _columns.modified_by_user_id),
        "created_date": Field(Kind.TIME, _columns.created_ns),
        "modified_date": Field(Kind.TIME, _columns.modified_ns),
        "started_date": Field(Kind.TIME, _columns.started_ns, is_nullable=True),
        "completed_date": Field(Kind.TIME, _columns.completed_ns, is_nullable=True),
    },
)
_listing = Listing(JOB_FIELDS, "created_date desc", (_columns.sequence,))


@dataclass(frozen=True, slots=True)
class Job:
    """A job. Times are nanoseconds since 1970 in UTC.

    Attributes:
        report_id: The report that it makes, or empty.
        data_import_id: The data import that it does, or empty.
        started_ns: When it was begun last, or None.
        completed_ns: When it ended, or None.
    """

    job_id: str
    job_type: JobType
    status: JobStatus
    report_id: str
    data_import_id: str
    organization_id: str
    created_by_user_id: str
    modified_by_user_id: str
    created_ns: int
    modified_ns: int
    started_ns: int | None
    completed_ns: int | None


class Jobs:
    """The jobs of the catalog. Safe from many threads; what returned is on disk."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def get(self, job_id: str) -> Job:
        """Return a job.

        Raises:
            NotFoundError: There is none of that id.
        """
        with self._context.database.read() as connection:
            return _get(connection, job_id)

    def list(self, request: ListRequest) -> Page[Job]:
        """Return a page of the jobs; the newest first, if not asked otherwise.

        Raises:
            InvalidArgumentError: Filter, order or page token are wrong.
        """
        with self._context.database.read() as connection:
            page = _listing.page(connection, select(tables.jobs), request, self._context.now_ns())
        return Page([_job(row) for row in page.items], page.next_token)

    def cancel(self, job_id: str) -> Job:
        """Have a job end: now if it was not begun, else as soon as whoever runs it notices.

        A job that ended stays as it is.

        Raises:
            NotFoundError: There is no job of that id.
        """
        with self._context.database.write() as connection:
            job = _get(connection, job_id)
            if job.status is JobStatus.CREATED:
                self._end(connection, job, JobStatus.CANCELLED, RuleStatus.CANCELED)
            elif job.status is JobStatus.RUNNING:
                self._set(connection, job, status=JobStatus.CANCEL_REQUESTED)
            return _get(connection, job_id)

    def retry(self, job_id: str) -> Job:
        """Ask once more for what a job did not do, which failed or was cancelled.

        Raises:
            NotFoundError: There is no job of that id.
            FailedPreconditionError: It did all, or is not at its end yet.
            ResourceExhaustedError: Too many jobs wait.
        """
        with self._context.database.write() as connection:
            job = _get(connection, job_id)
            if job.status not in (JobStatus.FAILED, JobStatus.CANCELLED):
                raise FailedPreconditionError(
                    f"the job {job_id!r} is {job.status.name}; a job can be retried that is FAILED"
                    " or CANCELLED, and a report that is finished can be rerun"
                )
            check_room(connection)
            if job.job_type is JobType.DATA_IMPORT:
                import_ends.begin_anew(connection, self._context, job.data_import_id)
            elif job.job_type is JobType.DATA_EXPORT:
                export_ends.say(connection, job.job_id, "")
            else:
                report_rules.begin_anew(connection, self._context, job.report_id)
            self._set(
                connection, job, status=JobStatus.CREATED, starts=0, started_ns=None,
                completed_ns=None,
            )  # fmt: skip
            return _get(connection, job_id)

    def recover(self, job_type: JobType) -> None:
        """See to jobs of a type that the end of a server interrupted; before any is claimed.

        They are begun again, `JOB_STARTS_MAX` times in all.
        """
        with self._context.database.write() as connection:
            query = select(tables.jobs).where(
                _columns.job_type == job_type,
                _columns.status.in_([JobStatus.RUNNING, JobStatus.CANCEL_REQUESTED]),
            )
            for row in connection.execute(query).all():
                job = _job(row)
                if job.status is JobStatus.CANCEL_REQUESTED:
                    self._end(connection, job, JobStatus.CANCELLED, RuleStatus.CANCELED)
                elif row.starts >= JOB_STARTS_MAX:
                    message = (
                        f"the server ended {row.starts} times while it was at this"
                        " (JOB_STARTS_MAX); retry the job to try again"
                    )
                    self._end(connection, job, JobStatus.FAILED, RuleStatus.ERROR, message)
                else:
                    self._set(connection, job, status=JobStatus.CREATED)

    def claim(self, job_type: JobType) -> Job | None:
        """Begin the job of a type that waits longest; None if none waits."""
        query = select(tables.jobs).where(
            _columns.job_type == job_type, _columns.status == JobStatus.CREATED
        )
        with self._context.database.read() as connection:
            if connection.execute(query.limit(1)).first() is None:
                return None
        with self._context.database.write() as connection:
            row = connection.execute(query.order_by(_columns.sequence).limit(1)).first()
            if row is None:
                return None
            job = _job(row)
            self._set(
                connection, job, status=JobStatus.RUNNING, starts=row.starts + 1,
                started_ns=self._context.now_ns(),
            )  # fmt: skip
            return _get(connection, job.job_id)

    def give_back(self, job_id: str) -> None:
        """Have a job wait again that was begun, because the server stops."""
        with self._context.database.write() as connection:
            job = _get(connection, job_id)
            if job.status is JobStatus.RUNNING:
                self._set(
                    connection, job, status=JobStatus.CREATED, starts=_columns.starts - 1,
                    started_ns=None,
                )  # fmt: skip

    def end_cancelled(self, job_id: str) -> None:
        """End a job that noticed that it is cancelled."""
        with self._context.database.write() as connection:
            job = _get(connection, job_id)
            self._end(connection, job, JobStatus.CANCELLED, RuleStatus.CANCELED)

    def give_up(self, job_id: str, message: str) -> None:
        """End a job that can't be gone on with; `message` says why.

        Of a data import, or of the rules of a report that are left.
        """
        with self._context.database.write() as connection:
            job = _get(connection, job_id)
            self._end(connection, job, JobStatus.FAILED, RuleStatus.ERROR, message)

    def finish(self, job_id: str) -> Job:
        """End the job of a report that was begun: cancelled, if that was asked for in time.

        Failed, if a rule of its report could not be evaluated.
        """
        with self._context.database.write() as connection:
            job = _get(connection, job_id)
            statuses = report_rules.statuses(connection, job.report_id)
            is_asked_for = job.status is JobStatus.CANCEL_REQUESTED
            if is_asked_for and statuses & set(UNFINISHED):
                status = JobStatus.CANCELLED
            else:
                status = JobStatus.FAILED if RuleStatus.ERROR in statuses else JobStatus.FINISHED
            self._end(connection, job, status, RuleStatus.CANCELED)
            return _get(connection, job_id)

    def _end(
        self,
        connection: Connection,
        job: Job,
        status: JobStatus,
        rule_status: RuleStatus,
        message: str = "",
    ) -> None:
        """End a job, and its data import, or the rules of its report that are not evaluated."""
        if job.job_type is JobType.DATA_EXPORT:
            export_ends.say(connection, job.job_id, message or "it was cancelled")
        elif job.job_type is JobType.DATA_IMPORT:
            message = message or "it was cancelled; what was imported until then is there"
            import_ends.fail(connection, self._context, job.data_import_id, message)
        else:
            report_rules.end_rest(connection, self._context, job.report_id, rule_status, message)
        self._set(connection, job, status=status, completed_ns=self._context.now_ns())

    def _set(self, connection: Connection, job: Job, **values: object) -> None:
        set_values(connection, self._context, job.job_id, **values)


def set_values(connection: Connection, context: Context, job_id: str, **values: object) -> None:
    """Change columns of a job, within a transaction."""
    connection.execute(
        update(tables.jobs)
        .where(_columns.job_id == job_id)
        .values(
            modified_ns=context.now_ns(),
            modified_by_user_id=users.owner_id(connection, context),
            **values,
        )
    )


def create(
    connection: Connection,
    context: Context,
    job_type: JobType,
    organization_id: str = "",
    **subject: str,
) -> str:
    """Ask for a job, within a transaction; `subject` is the id of what it makes or does.

    Gives its id.

    Raises:
        ResourceExhaustedError: Too many jobs wait.
    """
    check_room(connection)
    owner_id, now_ns = users.owner_id(connection, context), context.now_ns()
    job_id = context.new_id()
    connection.execute(
        insert(tables.jobs).values(
            job_id=job_id,
            job_type=job_type,
            status=JobStatus.CREATED,
            starts=0,
            organization_id=organization_id,
            created_by_user_id=owner_id,
            modified_by_user_id=owner_id,
            created_ns=now_ns,
            modified_ns=now_ns,
            **subject,
        )
    )
    return job_id


def check_room(connection: Connection) -> None:
    """Check that one more job may wait.

    Raises:
        ResourceExhaustedError: Too many do.
    """
    query = select(func.count()).select_from(tables.jobs)
    waiting = connection.execute(query.where(_columns.status == JobStatus.CREATED)).scalar_one()
    if waiting >= JOBS_WAITING_MAX:
        raise ResourceExhaustedError(
            f"{waiting:,} jobs wait, which is the limit (JOBS_WAITING_MAX); try again when some of"
            " them are done, or cancel some"
        )


def _get(connection: Connection, job_id: str) -> Job:
    row = connection.execute(select(tables.jobs).where(_columns.job_id == job_id)).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no job with the id {job_id!r}; list the jobs to find it")
    return _job(row)


def _job(row: Row[Any]) -> Job:
    return Job(
        row.job_id,
        JobType(row.job_type),
        JobStatus(row.status),
        row.report_id or "",
        row.data_import_id or "",
        row.organization_id,
        row.created_by_user_id,
        row.modified_by_user_id,
        row.created_ns,
        row.modified_ns,
        row.started_ns,
        row.completed_ns,
    )
