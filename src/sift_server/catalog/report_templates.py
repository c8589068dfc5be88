"""Report templates: rules that are evaluated together, under a name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from sift_server.catalog import report_template_rows, tables, users
from sift_server.catalog.fields import (
    Condition,
    Field,
    Filterable,
    Kind,
    MetadataField,
    has_row,
    tags_field,
)
from sift_server.catalog.paging import Listing, ListRequest, Page
from sift_server.catalog.report_form import check_form
from sift_server.catalog.reports import RULES_PER_REPORT_MAX
from sift_server.catalog.rule_writing import check_known
from sift_server.errors import AlreadyExistsError, InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from sift_server.catalog.context import Context
    from sift_server.catalog.report_template_rows import ReportTemplate, ReportTemplateDraft

_columns = tables.report_templates.c
_rules = tables.report_template_rules.c


def _with_tag(condition: Condition) -> Condition:
    tagged = tables.report_template_tags.c
    return has_row(
        and_(
            tagged.owner_id == _columns.report_template_id,
            tagged.name == tables.tags.c.name,
            condition,
        )
    )


TEMPLATE_FIELDS = Filterable(
    "report templates",
    {
        "report_template_id": Field(Kind.TEXT, _columns.report_template_id),
        "name": Field(Kind.TEXT, _columns.name),
        "description": Field(Kind.TEXT, _columns.description),
        "client_key": Field(Kind.TEXT, _columns.client_key, is_nullable=True),
        "organization_id": Field(Kind.TEXT, _columns.organization_id),
        "created_by_user_id": Field(Kind.TEXT, _columns.created_by_user_id),
        "modified_by_user_id": Field(Kind.TEXT, _columns.modified_by_user_id),
        "created_date": Field(Kind.TIME, _columns.created_ns),
        "modified_date": Field(Kind.TIME, _columns.modified_ns),
        "archived_date": Field(Kind.TIME, _columns.archived_ns, is_nullable=True),
        "is_archived": Field(Kind.BOOL, _columns.archived_ns.is_not(None)),
        "rule_id": Field(
            Kind.TEXT,
            _rules.rule_id,
            within=lambda that: has_row(
                _rules.report_template_id == _columns.report_template_id, that
            ),
        ),
        "tag_name": tags_field(tables.report_template_tags, _columns.report_template_id),
        "tag_id": Field(Kind.TEXT, tables.tags.c.tag_id, within=_with_tag),
        "metadata": MetadataField(tables.report_template_metadata, _columns.report_template_id),
    },
)
_listing = Listing(TEMPLATE_FIELDS, "created_date desc", (_columns.sequence,))


class ReportTemplates:
    """The report templates of the catalog. Safe from many threads; what returned is on disk."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def create(self, draft: ReportTemplateDraft) -> ReportTemplate:
        """Create a report template.

        Raises:
            InvalidArgumentError: It has no name, no rule, too many of them, or its attributes can't
                be stored.
            NotFoundError: There is no rule of an id.
            AlreadyExistsError: Another one has the client key.
        """
        template_id, now_ns = self._context.new_id(), self._context.now_ns()
        with self._context.database.write() as connection:
            owner_id = users.owner_id(connection, self._context)
            values = {
                "report_template_id": template_id,
                "created_by_user_id": owner_id,
                "modified_by_user_id": owner_id,
                "created_ns": now_ns,
                "modified_ns": now_ns,
                **_values(draft),
            }
            try:
                connection.execute(insert(tables.report_templates).values(values))
            except IntegrityError:
                raise _key_taken(draft) from None
            self._write_owned(connection, template_id, draft)
            return report_template_rows.get(connection, _columns.report_template_id == template_id)

    def get(self, report_template_id: str = "", client_key: str = "") -> ReportTemplate:
        """Return a report template by its id, or, if that is empty, by its client key.

        Raises:
            NotFoundError: There is none.
        """
        with self._context.database.read() as connection:
            return report_template_rows.find(connection, report_template_id, client_key)

    def list(self, request: ListRequest, *, with_archived: bool = False) -> Page[ReportTemplate]:
        """Return a page of the report templates; the newest first, if not asked otherwise.

        Args:
            request: What is asked for.
            with_archived: Also those that are archived; else only if the filter names
                `is_archived` or `archived_date`.

        Raises:
            InvalidArgumentError: Filter, order or page token are wrong.
        """
        query = select(tables.report_templates)
        if not with_archived and "archived" not in request.filter:
            query = query.where(_columns.archived_ns.is_(None))
        with self._context.database.read() as connection:
            page = _listing.page(
                connection, query, request, self._context.now_ns(), scope=str(with_archived)
            )
            return Page(report_template_rows.read(connection, page.items), page.next_token)

    def update(
        self,
        report_template_id: str,
        client_key: str,
        change: Callable[[ReportTemplateDraft], ReportTemplateDraft],
    ) -> ReportTemplate:
        """Replace what is said of a report template by what `change` makes of it.

        Raises:
            NotFoundError: There is no such report template, or no rule of an id.
            InvalidArgumentError: As for `create`, or the client key would be another one.
        """
        with self._context.database.write() as connection:
            known = report_template_rows.find(connection, report_template_id, client_key)
            draft = change(known.draft)
            if draft.client_key != known.draft.client_key:
                raise InvalidArgumentError(
                    f"the report template {known.draft.name!r} has the client key"
                    f" {known.draft.client_key!r}, which can't become {draft.client_key!r}; create"
                    " another one instead"
                )
            is_same = _columns.report_template_id == known.report_template_id
            if draft != known.draft:
                connection.execute(
                    update(tables.report_templates)
                    .where(is_same)
                    .values(
                        modified_ns=self._context.now_ns(),
                        modified_by_user_id=users.owner_id(connection, self._context),
                        **_values(draft),
                    )
                )
                self._write_owned(connection, known.report_template_id, draft)
            return report_template_rows.get(connection, is_same)

    def _write_owned(
        self, connection: Connection, template_id: str, draft: ReportTemplateDraft
    ) -> None:
        report_template_rows.attribute_tables.write(
            connection, self._context, template_id, draft.attributes
        )
        connection.execute(
            delete(tables.report_template_rules).where(_rules.report_template_id == template_id)
        )
        rule_ids = list(dict.fromkeys(draft.rule_ids))
        check_known(connection, tables.rules.c.rule_id, rule_ids, "rule")
        connection.execute(
            insert(tables.report_template_rules),
            [
                {"report_template_id": template_id, "position": position, "rule_id": rule_id}
                for position, rule_id in enumerate(rule_ids)
            ],
        )


def _values(draft: ReportTemplateDraft) -> dict[str, Any]:
    check_form("a report template", draft.name, draft.description)
    if not 0 < len(draft.rule_ids) <= RULES_PER_REPORT_MAX:
        raise InvalidArgumentError(
            f"the report template {draft.name!r} has {len(draft.rule_ids):,} rules; give it 1 to"
            f" {RULES_PER_REPORT_MAX:,} (RULES_PER_REPORT_MAX)"
        )
    return {
        "name": draft.name,
        "description": draft.description,
        "client_key": draft.client_key or None,
        "organization_id": draft.organization_id,
        "archived_ns": draft.archived_ns,
    }


def _key_taken(draft: ReportTemplateDraft) -> AlreadyExistsError:
    return AlreadyExistsError(
        f"a report template with the client key {draft.client_key!r} exists; use it, or give"
        f" {draft.name!r} another client key"
    )
