"""`sift.annotations.v1.AnnotationService`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sift.annotations.v1 import annotations_pb2
from sift.common.type.v1 import user_pb2
from sift_server.api.services.convert import (
    from_metadata,
    from_timestamp,
    list_request,
    to_metadata,
    to_timestamp,
)
from sift_server.api.services.masks import archived_since, update_paths, with_fields
from sift_server.catalog import (
    AnnotationDraft,
    AnnotationState,
    AnnotationType,
    Attributes,
    LinkedChannel,
)
from sift_server.catalog.condition_troubles import NOISY, TRIGGERS_KEY, TROUBLE_KEY
from sift_server.errors import InvalidArgumentError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from google.protobuf.timestamp_pb2 import Timestamp

    from sift_server.catalog import Annotation, Catalog


class AnnotationService:
    """Creates, gets, lists, updates, archives and deletes annotations."""

    SERVICE_NAME = "sift.annotations.v1.AnnotationService"

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._annotations = catalog.annotations

    def create_annotation(
        self, request: annotations_pb2.CreateAnnotationRequest
    ) -> annotations_pb2.CreateAnnotationResponse:
        """Create an annotation; `assets` are ids, or names."""
        annotation = self._annotations.create(
            AnnotationDraft(
                name=request.name,
                description=request.description,
                start_ns=_time(request, "start_time"),
                end_ns=_time(request, "end_time"),
                asset_ids=tuple(self._asset_ids(request.assets)),
                linked_channels=_from_channels(request.linked_channels),
                run_id=request.run_id,
                assigned_to_user_id=request.assign_to_user_id,
                organization_id=request.organization_id,
                state=_from_state(request.state),
                annotation_type=_from_type(request.annotation_type),
                legend_config=request.legend_config or None,
                condition_version_id=request.created_by_rule_condition_version_id,
                attributes=Attributes(tuple(request.tags), from_metadata(request.metadata)),
            ),
            request.created_by_condition_id,
        )
        return annotations_pb2.CreateAnnotationResponse(annotation=self._message(annotation))

    def get_annotation(
        self, request: annotations_pb2.GetAnnotationRequest
    ) -> annotations_pb2.GetAnnotationResponse:
        """Return an annotation."""
        annotation = self._annotations.get(request.annotation_id)
        return annotations_pb2.GetAnnotationResponse(annotation=self._message(annotation))

    def list_annotations(
        self, request: annotations_pb2.ListAnnotationsRequest
    ) -> annotations_pb2.ListAnnotationsResponse:
        """Return a page of the annotations."""
        page = self._annotations.list(list_request(request))
        return annotations_pb2.ListAnnotationsResponse(
            annotations=self._messages(page.items), next_page_token=page.next_token
        )

    def update_annotation(
        self, request: annotations_pb2.UpdateAnnotationRequest
    ) -> annotations_pb2.UpdateAnnotationResponse:
        """Replace the fields of an annotation that the mask names."""
        wanted = request.annotation
        paths = update_paths(request.update_mask, wanted, _UPDATABLE)

        def change(draft: AnnotationDraft) -> AnnotationDraft:
            draft = with_fields(draft, wanted, paths, _CHANGES)
            archived_ns = archived_since(
                draft.archived_ns, paths, self._catalog.now_ns, is_archived=wanted.is_archived
            )
            return replace(draft, archived_ns=archived_ns)

        annotation = self._annotations.update(wanted.annotation_id, change)
        return annotations_pb2.UpdateAnnotationResponse(annotation=self._message(annotation))

    def delete_annotation(
        self, request: annotations_pb2.DeleteAnnotationRequest
    ) -> annotations_pb2.DeleteAnnotationResponse:
        """Delete an annotation."""
        self._annotations.delete([request.annotation_id])
        return annotations_pb2.DeleteAnnotationResponse()

    def batch_delete_annotations(
        self, request: annotations_pb2.BatchDeleteAnnotationsRequest
    ) -> annotations_pb2.BatchDeleteAnnotationsResponse:
        """Delete annotations: all of them, or none."""
        self._annotations.delete(request.annotation_ids)
        return annotations_pb2.BatchDeleteAnnotationsResponse()

    def archive_annotation(
        self, request: annotations_pb2.ArchiveAnnotationRequest
    ) -> annotations_pb2.ArchiveAnnotationResponse:
        """Archive an annotation."""
        (annotation,) = self._annotations.set_archived([request.annotation_id], archived=True)
        return annotations_pb2.ArchiveAnnotationResponse(annotation=self._message(annotation))

    def batch_archive_annotations(
        self, request: annotations_pb2.BatchArchiveAnnotationsRequest
    ) -> annotations_pb2.BatchArchiveAnnotationsResponse:
        """Archive annotations: all of them, or none."""
        archived = self._annotations.set_archived(request.annotation_ids, archived=True)
        return annotations_pb2.BatchArchiveAnnotationsResponse(annotations=self._messages(archived))

    def unarchive_annotation(
        self, request: annotations_pb2.UnarchiveAnnotationRequest
    ) -> annotations_pb2.UnarchiveAnnotationResponse:
        """Take an annotation out of the archive."""
        (annotation,) = self._annotations.set_archived([request.annotation_id], archived=False)
        return annotations_pb2.UnarchiveAnnotationResponse(annotation=self._message(annotation))

    def batch_unarchive_annotations(
        self, request: annotations_pb2.BatchUnarchiveAnnotationsRequest
    ) -> annotations_pb2.BatchUnarchiveAnnotationsResponse:
        """Take annotations out of the archive: all of them, or none."""
        back = self._annotations.set_archived(request.annotation_ids, archived=False)
        return annotations_pb2.BatchUnarchiveAnnotationsResponse(annotations=self._messages(back))

    def _asset_ids(self, named: Iterable[str]) -> list[str]:
        wanted = list(dict.fromkeys(named))
        ids = self._catalog.assets.ids_of(wanted)
        for one in wanted:
            if one not in ids:
                raise NotFoundError(
                    f"there is no asset with the id or name {one!r}; list the assets to find it"
                )
        return list(dict.fromkeys(ids[one] for one in wanted))

    def _message(self, annotation: Annotation) -> annotations_pb2.Annotation:
        (message,) = self._messages([annotation])
        return message

    def _messages(self, annotations: list[Annotation]) -> list[annotations_pb2.Annotation]:
        names = self._catalog.users.names(one.draft.assigned_to_user_id for one in annotations)
        return [_message(one, names) for one in annotations]


def _time(message: annotations_pb2.CreateAnnotationRequest, name: str) -> int:
    if not message.HasField("start_time" if name == "start_time" else "end_time"):
        raise InvalidArgumentError(f"the annotation {message.name!r} has no {name}; give it one")
    timestamp: Timestamp = getattr(message, name)
    return from_timestamp(timestamp, name)


def _from_state(state: int) -> AnnotationState | None:
    if state == annotations_pb2.ANNOTATION_STATE_UNSPECIFIED:
        return None
    if state not in list(AnnotationState):
        raise InvalidArgumentError(
            f"the annotation has the state {state}, which is none; the states are"
            f" {_numbered(annotations_pb2.AnnotationState.items())}"
        )
    return AnnotationState(state)


def _from_type(annotation_type: int) -> AnnotationType:
    if annotation_type == annotations_pb2.ANNOTATION_TYPE_PHASE:
        return AnnotationType.PHASE
    known = (
        annotations_pb2.ANNOTATION_TYPE_UNSPECIFIED,
        annotations_pb2.ANNOTATION_TYPE_DATA_REVIEW,
    )
    if annotation_type not in known:
        raise InvalidArgumentError(
            f"the annotation has the annotation_type {annotation_type}, which is none; the types"
            f" are {_numbered(annotations_pb2.AnnotationType.items())}"
        )
    return AnnotationType.REVIEW


def _numbered(numbers: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{name} ({number})" for name, number in numbers if number)


def _from_channels(
    messages: Iterable[annotations_pb2.AnnotationLinkedChannel],
) -> tuple[LinkedChannel, ...]:
    channels = []
    for message in messages:
        kind = message.WhichOneof("type")
        if kind == "channel":
            channels.append(LinkedChannel(message.channel.channel_id))
        elif kind == "bit_field_element":
            element = message.bit_field_element
            channels.append(LinkedChannel(element.channel_id, element.bit_field_name))
        elif kind == "calculated_channel":
            version_id = message.calculated_channel.calculated_channel_version_id
            channels.append(LinkedChannel(version_id=version_id))
        else:
            raise InvalidArgumentError(
                "the annotation is linked to nothing; link it to channels, elements of bit fields"
                " or calculated channels"
            )
    return tuple(dict.fromkeys(channels))


def _to_channel(channel: LinkedChannel) -> annotations_pb2.AnnotationLinkedChannel:
    if channel.version_id:
        return annotations_pb2.AnnotationLinkedChannel(
            calculated_channel=annotations_pb2.AnnotationLinkedCalculatedChannel(
                calculated_channel_version_id=channel.version_id
            )
        )
    if channel.element:
        return annotations_pb2.AnnotationLinkedChannel(
            bit_field_element=annotations_pb2.AnnotationLinkedChannelsBitFieldElement(
                channel_id=channel.channel_id, bit_field_name=channel.element
            )
        )
    return annotations_pb2.AnnotationLinkedChannel(
        channel=annotations_pb2.AnnotationLinkedChannelsChannel(channel_id=channel.channel_id)
    )


def _with_tags(draft: AnnotationDraft, wanted: annotations_pb2.Annotation) -> AnnotationDraft:
    return replace(draft, attributes=replace(draft.attributes, tags=tuple(wanted.tags)))


def _with_metadata(draft: AnnotationDraft, wanted: annotations_pb2.Annotation) -> AnnotationDraft:
    metadata = from_metadata(wanted.metadata)
    return replace(draft, attributes=replace(draft.attributes, metadata=metadata))


def _archived_since_date(
    draft: AnnotationDraft, wanted: annotations_pb2.Annotation
) -> AnnotationDraft:
    archived_ns = None
    if wanted.HasField("archived_date"):
        archived_ns = from_timestamp(wanted.archived_date, "archived_date")
    return replace(draft, archived_ns=archived_ns)


_CHANGES: dict[str, Callable[[AnnotationDraft, annotations_pb2.Annotation], AnnotationDraft]] = {
    "name": lambda draft, wanted: replace(draft, name=wanted.name),
    "description": lambda draft, wanted: replace(draft, description=wanted.description),
    "start_time": lambda draft, wanted: replace(
        draft, start_ns=from_timestamp(wanted.start_time, "start_time")
    ),
    "end_time": lambda draft, wanted: replace(
        draft, end_ns=from_timestamp(wanted.end_time, "end_time")
    ),
    "run_id": lambda draft, wanted: replace(draft, run_id=wanted.run_id),
    "state": lambda draft, wanted: replace(draft, state=_from_state(wanted.state)),
    "annotation_type": lambda draft, wanted: replace(
        draft, annotation_type=_from_type(wanted.annotation_type)
    ),
    "assigned_to_user_id": lambda draft, wanted: replace(
        draft, assigned_to_user_id=wanted.assigned_to_user_id
    ),
    "legend_config": lambda draft, wanted: replace(
        draft, legend_config=wanted.legend_config or None
    ),
    "linked_channels": lambda draft, wanted: replace(
        draft, linked_channels=_from_channels(wanted.linked_channels)
    ),
    "asset_ids": lambda draft, wanted: replace(draft, asset_ids=tuple(wanted.asset_ids)),
    "tags": _with_tags,
    "metadata": _with_metadata,
    "archived_date": _archived_since_date,
}
"""What an update changes, by the path of the mask."""

_UPDATABLE = (*_CHANGES, "is_archived")


def _message(annotation: Annotation, user_names: dict[str, str]) -> annotations_pb2.Annotation:
    draft = annotation.draft
    message = annotations_pb2.Annotation(
        annotation_id=annotation.annotation_id,
        name=draft.name,
        description=draft.description,
        start_time=to_timestamp(draft.start_ns),
        end_time=to_timestamp(draft.end_ns),
        created_by_user_id=annotation.created_by_user_id,
        modified_by_user_id=annotation.modified_by_user_id,
        created_date=to_timestamp(annotation.created_ns),
        modified_date=to_timestamp(annotation.modified_ns),
        run_id=draft.run_id or None,
        organization_id=draft.organization_id,
        assigned_to_user_id=draft.assigned_to_user_id,
        annotation_type=annotations_pb2.AnnotationType.ValueType(draft.annotation_type),
        tags=draft.attributes.tags,
        legend_config=draft.legend_config,
        created_by_condition_id=annotation.condition_id or None,
        created_by_rule_condition_version_id=draft.condition_version_id or None,
        report_rule_version_id=annotation.report_rule_version_id or None,
        pending=annotation.is_pending,
        linked_channels=map(_to_channel, draft.linked_channels),
        asset_ids=draft.asset_ids,
        metadata=to_metadata(draft.attributes.metadata),
        archived_date=to_timestamp(draft.archived_ns),
        is_archived=draft.archived_ns is not None,
    )
    if annotation.condition_id:
        said = dict(draft.attributes.metadata)
        message.is_noisy_rule = said.get(TROUBLE_KEY) == NOISY
        triggers = said.get(TRIGGERS_KEY)
        message.batched_triggers = int(triggers) if isinstance(triggers, float) else 0
    if draft.state is not None:
        message.state = annotations_pb2.AnnotationState.ValueType(draft.state)
    name = user_names.get(draft.assigned_to_user_id)
    if name is not None:
        user = user_pb2.User(user_id=draft.assigned_to_user_id, user_name=name)
        message.assigned_to_user.CopyFrom(user)
    return message
