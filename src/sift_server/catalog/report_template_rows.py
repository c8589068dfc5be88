"""Report templates, as they are read from the tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import or_, select

from sift_server.catalog import tables
from sift_server.catalog.attributes import NO_ATTRIBUTES, Attributes, AttributeTables
from sift_server.catalog.chunks import chunks
from sift_server.catalog.identified import check_identified
from sift_server.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row

    from sift_server.catalog.fields import Condition

_columns = tables.report_templates.c
_rules = tables.report_template_rules.c
attribute_tables = AttributeTables(
    "a report template", tables.report_template_tags, tables.report_template_metadata
)


@dataclass(frozen=True, slots=True)
class ReportTemplateDraft:
    """What can be said of a report template.

    Attributes:
        name: Not blank.
        rule_ids: Its rules, in their order, each once.
        client_key: Unique among report templates; None for no key.
        archived_ns: Nanoseconds since 1970 in UTC, or None.
    """

    name: str
    rule_ids: tuple[str, ...]
    description: str = ""
    client_key: str | None = None
    organization_id: str = ""
    archived_ns: int | None = None
    attributes: Attributes = NO_ATTRIBUTES


class TemplateRule(NamedTuple):
    """A rule of a report template, in its newest version.

    Attributes:
        client_key: Empty for none.
        is_gone: Whether it is archived or deleted, so that reports are made without it.
    """

    rule_id: str
    rule_version_id: str
    rule_version_number: int
    client_key: str
    is_gone: bool


@dataclass(frozen=True, slots=True)
class ReportTemplate:
    """A report template, as it is stored. Times are nanoseconds since 1970 in UTC."""

    report_template_id: str
    draft: ReportTemplateDraft
    rules: tuple[TemplateRule, ...]
    created_by_user_id: str
    modified_by_user_id: str
    created_ns: int
    modified_ns: int

    @property
    def version_ids(self) -> list[str]:
        """The versions of rules that a report of it has."""
        return [rule.rule_version_id for rule in self.rules if not rule.is_gone]


def find(connection: Connection, report_template_id: str, client_key: str) -> ReportTemplate:
    """Read a report template by its id, or, if that is empty, by its client key.

    Raises:
        NotFoundError: There is none.
        InvalidArgumentError: Both are empty.
    """
    check_identified("report template", report_template_id, client_key)
    if report_template_id:
        return get(connection, _columns.report_template_id == report_template_id)
    return get(connection, _columns.client_key == client_key)


def get(connection: Connection, condition: Condition) -> ReportTemplate:
    """Read the report template for which a condition holds.

    Raises:
        NotFoundError: There is none.
    """
    rows = connection.execute(select(tables.report_templates).where(condition)).all()
    if not rows:
        raise NotFoundError(
            "there is no report template with that id or client key; list the report templates to"
            " find it"
        )
    (template,) = read(connection, rows)
    return template


def read(connection: Connection, rows: Sequence[Row[Any]]) -> list[ReportTemplate]:
    """Read the report templates of rows, with what other tables have of them."""
    ids = [row.report_template_id for row in rows]
    attributes: dict[str, Attributes] = {}
    rules: dict[str, list[TemplateRule]] = {template_id: [] for template_id in ids}
    versions = tables.rule_versions
    for some in chunks(ids):
        attributes.update(attribute_tables.read(connection, some))
        query = (
            select(
                _rules.report_template_id,
                _rules.rule_id,
                versions.c.rule_version_id,
                versions.c.number,
                tables.rules.c.client_key,
                or_(
                    tables.rules.c.archived_ns.is_not(None), tables.rules.c.deleted_ns.is_not(None)
                ),
            )
            .join(tables.rules, tables.rules.c.rule_id == _rules.rule_id)
            .join(versions, versions.c.rule_version_id == tables.rules.c.current_version_id)
            .where(_rules.report_template_id.in_(some))
            .order_by(_rules.position)
        )
        for template_id, rule_id, version_id, number, key, is_gone in connection.execute(query):
            rules[template_id].append(TemplateRule(rule_id, version_id, number, key or "", is_gone))
    return [
        _template(row, attributes[row.report_template_id], rules[row.report_template_id])
        for row in rows
    ]


def _template(
    row: Row[Any], attributes: Attributes, rules: Sequence[TemplateRule]
) -> ReportTemplate:
    draft = ReportTemplateDraft(
        name=row.name,
        rule_ids=tuple(rule.rule_id for rule in rules),
        description=row.description,
        client_key=row.client_key,
        organization_id=row.organization_id,
        archived_ns=row.archived_ns,
        attributes=attributes,
    )
    return ReportTemplate(
        row.report_template_id,
        draft,
        tuple(rules),
        row.created_by_user_id,
        row.modified_by_user_id,
        row.created_ns,
        row.modified_ns,
    )
