"""`sift.report_templates.v1.ReportTemplateService`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sift.report_templates.v1 import report_templates_pb2
from sift_server.api.services.convert import (
    from_metadata,
    from_timestamp,
    list_request,
    to_metadata,
    to_timestamp,
)
from sift_server.api.services.masks import archived_since, update_paths, with_fields
from sift_server.api.services.rule_messages import keys_of
from sift_server.catalog import Attributes, ReportTemplateDraft
from sift_server.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sift_server.catalog import Catalog, ReportTemplate


class ReportTemplateService:
    """Creates, gets, lists, updates and archives report templates."""

    SERVICE_NAME = "sift.report_templates.v1.ReportTemplateService"

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._templates = catalog.report_templates

    def get_report_template(
        self, request: report_templates_pb2.GetReportTemplateRequest
    ) -> report_templates_pb2.GetReportTemplateResponse:
        """Return a report template by its id or client key."""
        template = self._templates.get(request.report_template_id, request.client_key)
        return report_templates_pb2.GetReportTemplateResponse(report_template=_message(template))

    def create_report_template(
        self, request: report_templates_pb2.CreateReportTemplateRequest
    ) -> report_templates_pb2.CreateReportTemplateResponse:
        """Create a report template."""
        keys = keys_of(request.rule_ids.rule_ids, request.rule_client_keys.rule_client_keys)
        template = self._templates.create(
            ReportTemplateDraft(
                name=request.name,
                rule_ids=self._rule_ids(keys),
                description=request.description,
                client_key=request.client_key or None,
                organization_id=request.organization_id,
                attributes=Attributes(tuple(request.tag_names), from_metadata(request.metadata)),
            )
        )
        return report_templates_pb2.CreateReportTemplateResponse(report_template=_message(template))

    def list_report_templates(
        self, request: report_templates_pb2.ListReportTemplatesRequest
    ) -> report_templates_pb2.ListReportTemplatesResponse:
        """Return a page of the report templates."""
        page = self._templates.list(list_request(request), with_archived=request.include_archived)
        return report_templates_pb2.ListReportTemplatesResponse(
            report_templates=map(_message, page.items), next_page_token=page.next_token
        )

    def update_report_template(
        self, request: report_templates_pb2.UpdateReportTemplateRequest
    ) -> report_templates_pb2.UpdateReportTemplateResponse:
        """Replace the fields of a report template that the mask names."""
        wanted = request.report_template
        paths = update_paths(request.update_mask, wanted, _UPDATABLE)
        rule_ids = None
        if "rules" in paths:
            # Those that say no place keep the one that they have in the list.
            rules = sorted(
                enumerate(wanted.rules),
                key=lambda at: at[1].display_order if at[1].HasField("display_order") else at[0],
            )
            keys = [(one.rule_id, one.client_key) for _, one in rules]
            rule_ids = self._rule_ids(keys)

        def change(draft: ReportTemplateDraft) -> ReportTemplateDraft:
            draft = with_fields(draft, wanted, paths, _CHANGES)
            if rule_ids is not None:
                draft = replace(draft, rule_ids=rule_ids)
            archived_ns = archived_since(
                draft.archived_ns, paths, self._catalog.now_ns, is_archived=wanted.is_archived
            )
            return replace(draft, archived_ns=archived_ns)

        template = self._templates.update(wanted.report_template_id, wanted.client_key, change)
        return report_templates_pb2.UpdateReportTemplateResponse(report_template=_message(template))

    def _rule_ids(self, keys: list[tuple[str, str]]) -> tuple[str, ...]:
        if any(not (rule_id or client_key) for rule_id, client_key in keys):
            raise InvalidArgumentError("a rule of the report template has no id and no client key")
        rules = [self._catalog.rules.get(*key) for key in keys]
        return tuple(dict.fromkeys(rule.rule_id for rule in rules))


def _with_tags(
    draft: ReportTemplateDraft, wanted: report_templates_pb2.ReportTemplate
) -> ReportTemplateDraft:
    tags = tuple(one.tag_name for one in wanted.tags)
    return replace(draft, attributes=replace(draft.attributes, tags=tags))


def _with_metadata(
    draft: ReportTemplateDraft, wanted: report_templates_pb2.ReportTemplate
) -> ReportTemplateDraft:
    metadata = from_metadata(wanted.metadata)
    return replace(draft, attributes=replace(draft.attributes, metadata=metadata))


def _archived_since_date(
    draft: ReportTemplateDraft, wanted: report_templates_pb2.ReportTemplate
) -> ReportTemplateDraft:
    archived_ns = None
    if wanted.HasField("archived_date"):
        archived_ns = from_timestamp(wanted.archived_date, "archived_date")
    return replace(draft, archived_ns=archived_ns)


_CHANGES: dict[
    str,
    Callable[[ReportTemplateDraft, report_templates_pb2.ReportTemplate], ReportTemplateDraft],
] = {
    "name": lambda draft, wanted: replace(draft, name=wanted.name),
    "description": lambda draft, wanted: replace(draft, description=wanted.description),
    "tags": _with_tags,
    "metadata": _with_metadata,
    "archived_date": _archived_since_date,
}
"""What an update changes, by the path of the mask."""

_UPDATABLE = (*_CHANGES, "rules", "is_archived")


def _message(template: ReportTemplate) -> report_templates_pb2.ReportTemplate:
    draft = template.draft
    return report_templates_pb2.ReportTemplate(
        report_template_id=template.report_template_id,
        organization_id=draft.organization_id,
        client_key=draft.client_key,
        name=draft.name,
        description=draft.description or None,
        archived_date=to_timestamp(draft.archived_ns),
        created_by_user_id=template.created_by_user_id,
        modified_by_user_id=template.modified_by_user_id,
        created_date=to_timestamp(template.created_ns),
        modified_date=to_timestamp(template.modified_ns),
        rules=[
            report_templates_pb2.ReportTemplateRule(
                rule_id=rule.rule_id,
                rule_version_id=rule.rule_version_id,
                rule_version_number=rule.rule_version_number,
                client_key=rule.client_key,
                display_order=place,
            )
            for place, rule in enumerate(template.rules)
        ],
        tags=[
            report_templates_pb2.ReportTemplateTag(tag_name=name) for name in draft.attributes.tags
        ],
        metadata=to_metadata(draft.attributes.metadata),
        is_archived=draft.archived_ns is not None,
    )
