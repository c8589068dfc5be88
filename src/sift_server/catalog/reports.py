"""Reports: what rules found in a run, rule by rule, and what people think of it.

A report is made together with the job that evaluates its rules; see `jobs`. What it found are
annotations, and the counts of them are those of now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, insert, literal, select, update

from sift_server.catalog import jobs, report_rows, report_rules, tables, users
from sift_server.catalog.fields import (
    Field,
    Filterable,
    Kind,
    MetadataField,
    named_numbers_field,
    tags_field,
)
from sift_server.catalog.paging import Listing, ListRequest, Page
from sift_server.catalog.report_form import check_form
from sift_server.catalog.report_rows import RuleStatus
from sift_server.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from sqlalchemy import Connection, Row

    from sift_server.catalog.attributes import MetadataValue
    from sift_server.catalog.context import Context
    from sift_server.catalog.report_rows import Report, ReportDraft, ReportRule, RuleSummary

RULES_PER_REPORT_MAX = 10_000
"""How many rules a report may have, and a page of reports: a rule on two assets counts twice."""

_reports = tables.reports.c
_report_rules = tables.report_rules.c
_metadata = tables.report_metadata.c

REPORT_FIELDS = Filterable(
    "reports",
    {
        "report_id": Field(Kind.TEXT, _reports.report_id),
        "report_template_id": Field(Kind.TEXT, _reports.report_template_id, is_nullable=True),
        "rerun_from_report_id": Field(Kind.TEXT, _reports.rerun_from_report_id, is_nullable=True),
        "run_id": Field(Kind.TEXT, _reports.run_id),
        "name": Field(Kind.TEXT, _reports.name),
        "description": Field(Kind.TEXT, _reports.description),
        "report_type": named_numbers_field(
            literal(1), "REPORT_TYPE_", ("RULE_EVALUATION", "CANVAS")
        ),
        "organization_id": Field(Kind.TEXT, _reports.organization_id),
        "created_by_user_id": Field(Kind.TEXT, _reports.created_by_user_id),
        "modified_by_user_id": Field(Kind.TEXT, _reports.modified_by_user_id),
        "created_date": Field(Kind.TIME, _reports.created_ns),
        "modified_date": Field(Kind.TIME, _reports.modified_ns),
        "archived_date": Field(Kind.TIME, _reports.archived_ns, is_nullable=True),
        "is_archived": Field(Kind.BOOL, _reports.archived_ns.is_not(None)),
        "tag_name": tags_field(tables.report_tags, _reports.report_id),
        "metadata": MetadataField(tables.report_metadata, _reports.report_id),
    },
)
_listing = Listing(REPORT_FIELDS, "created_date desc", (_reports.sequence,))

SUMMARY_FIELDS = Filterable(
    "rules of a report",
    {
        "rule_id": Field(Kind.TEXT, _report_rules.rule_id),
        "rule_version_id": Field(Kind.TEXT, _report_rules.rule_version_id),
        "report_rule_version_id": Field(Kind.TEXT, _report_rules.report_rule_version_id),
        "asset_id": Field(Kind.TEXT, _report_rules.asset_id),
        "status": named_numbers_field(
            _report_rules.status, "REPORT_RULE_STATUS_", [one.name for one in RuleStatus]
        ),
        "display_order": Field(Kind.NUMBER, _report_rules.position),
        "created_date": Field(Kind.TIME, _report_rules.created_ns),
        "modified_date": Field(Kind.TIME, _report_rules.modified_ns),
    },
)
_summary_listing = Listing(SUMMARY_FIELDS, "display_order", (_report_rules.sequence,))

METADATA_FIELDS = Filterable(
    "metadata of a report",
    {
        "key": Field(Kind.TEXT, _metadata.key),
        "string_value": Field(Kind.TEXT, _metadata.string_value, is_nullable=True),
        "position": Field(Kind.NUMBER, _metadata.position),
    },
)
_metadata_listing = Listing(METADATA_FIELDS, "position", (_metadata.position,))


class Reports:
    """The reports of the catalog. Safe from many threads; what returned is on disk."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def create(self, draft: ReportDraft, rules: Sequence[ReportRule]) -> Report:
        """Create a report, and the job that evaluates its rules.

        Args:
            draft: What is said of it.
            rules: Its rules, in their order.

        Raises:
            InvalidArgumentError: It has no name, no rule, too many of them, or its attributes can't
                be stored.
            ResourceExhaustedError: Too many jobs wait.
        """
        if not rules:
            raise InvalidArgumentError(f"the report {draft.name!r} has no rule; name some")
        if len(rules) > RULES_PER_REPORT_MAX:
            raise InvalidArgumentError(
                f"the report {draft.name!r} has {len(rules):,} rules, a rule on two assets counted"
                f" twice; it may have {RULES_PER_REPORT_MAX:,} (RULES_PER_REPORT_MAX)"
            )
        check_form("a report", draft.name, draft.description)
        report_id, now_ns = self._context.new_id(), self._context.now_ns()
        with self._context.database.write() as connection:
            owner_id = users.owner_id(connection, self._context)
            connection.execute(
                insert(tables.reports).values(
                    report_id=report_id,
                    created_by_user_id=owner_id,
                    modified_by_user_id=owner_id,
                    created_ns=now_ns,
                    modified_ns=now_ns,
                    **report_rows.values_of(draft),
                )
            )
            self._write_attributes(connection, report_id, draft)
            report_rules.create(connection, self._context, report_id, rules)
            jobs.create(
                connection, self._context, jobs.JobType.RULE_EVALUATION, draft.organization_id,
                report_id=report_id,
            )  # fmt: skip
            return report_rows.get(connection, report_id)

    def get(self, report_id: str) -> Report:
        """Return a report.

        Raises:
            NotFoundError: There is none of that id.
        """
        with self._context.database.read() as connection:
            return report_rows.get(connection, report_id)

    def list(self, request: ListRequest) -> Page[Report]:
        """Return a page of the reports; the newest first, if not asked otherwise.

        It ends before `RULES_PER_REPORT_MAX` is exceeded by all of them together.

        Raises:
            InvalidArgumentError: Filter, order or page token are wrong.
        """
        count = select(func.count()).select_from(tables.report_rules)
        of_report = count.where(_report_rules.report_id == _reports.report_id)
        query = report_rows.query().add_columns(of_report.scalar_subquery().label("rule_count"))
        room = _RuleRoom()
        with self._context.database.read() as connection:
            page = _listing.page(
                connection, query, request, self._context.now_ns(), room=room.takes
            )
            return Page(report_rows.read(connection, page.items), page.next_token)

    def update(self, report_id: str, change: Callable[[ReportDraft], ReportDraft]) -> Report:
        """Replace what is said of a report by what `change` makes of it.

        Raises:
            NotFoundError: There is no report of that id.
            InvalidArgumentError: It would have no name, or its attributes can't be stored.
        """
        with self._context.database.write() as connection:
            before = report_rows.get(connection, report_id).draft
            draft = change(before)
            if draft != before:
                check_form("a report", draft.name, draft.description)
                connection.execute(
                    update(tables.reports)
                    .where(_reports.report_id == report_id)
                    .values(
                        modified_ns=self._context.now_ns(),
                        modified_by_user_id=users.owner_id(connection, self._context),
                        **report_rows.values_of(draft),
                    )
                )
                self._write_attributes(connection, report_id, draft)
            return report_rows.get(connection, report_id)

    def set_status(
        self,
        report_rule_version_id: str,
        status: RuleStatus,
        message: str = "",
    ) -> None:
        """Say how far a rule of a report is; one that is `LIVE` has found nothing yet."""
        with self._context.database.write() as connection:
            report_rules.set_status(
                connection, self._context, report_rule_version_id, status, message
            )

    def created_count(self, report_id: str) -> int:
        """Return how many of the annotations that there are were made for a report."""
        rules = select(_report_rules.report_rule_version_id).where(
            _report_rules.report_id == report_id
        )
        annotations = tables.annotations_table
        query = select(func.count()).select_from(annotations)
        made = annotations.c.report_rule_version_id.in_(rules)
        with self._context.database.read() as connection:
            return connection.execute(query.where(made)).scalar_one()

    def list_summaries(self, report_id: str, request: ListRequest) -> Page[RuleSummary]:
        """Return a page of what became of the rules of a report, in their order.

        Raises:
            NotFoundError: There is no report of that id.
            InvalidArgumentError: Filter, order or page token are wrong.
        """
        query = report_rows.summary_query().where(_report_rules.report_id == report_id)
        with self._context.database.read() as connection:
            report_rows.get(connection, report_id)
            page = _summary_listing.page(
                connection, query, request, self._context.now_ns(), scope=report_id
            )
            return Page(report_rows.read_summaries(connection, page.items), page.next_token)

    def list_metadata(
        self, report_id: str, request: ListRequest
    ) -> Page[tuple[str, MetadataValue]]:
        """Return a page of the metadata of a report: keys and values.

        Raises:
            NotFoundError: There is no report of that id.
            InvalidArgumentError: Filter or page token are wrong.
        """
        query = select(_metadata.key).where(_metadata.owner_id == report_id)
        with self._context.database.read() as connection:
            known = dict(report_rows.get(connection, report_id).draft.attributes.metadata)
            page = _metadata_listing.page(
                connection, query, request, self._context.now_ns(), scope=report_id
            )
        return Page([(row.key, known[row.key]) for row in page.items], page.next_token)

    def _write_attributes(self, connection: Connection, report_id: str, draft: ReportDraft) -> None:
        report_rows.attribute_tables.write(connection, self._context, report_id, draft.attributes)


@dataclass(slots=True)
class _RuleRoom:
    """Room for reports by their rules; serves one page."""

    left: int = RULES_PER_REPORT_MAX

    def takes(self, row: Row[Any]) -> bool:
        """Whether a report still fits behind those that came before it."""
        self.left -= row.rule_count
        return self.left >= 0
