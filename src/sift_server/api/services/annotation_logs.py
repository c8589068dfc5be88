"""`sift.annotation_logs.v1.AnnotationLogService`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift.annotation_logs.v1 import annotation_logs_pb2
from sift_server.api.services.convert import list_request, to_timestamp
from sift_server.catalog import AnnotationState, CommentPart, LogDraft, LogKind
from sift_server.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sift_server.catalog import AnnotationLog, Catalog

_STATES = {
    annotation_logs_pb2.ANNOTATION_LOG_STATE_OPEN: AnnotationState.OPEN,
    annotation_logs_pb2.ANNOTATION_LOG_STATE_FLAGGED: AnnotationState.FLAGGED,
    annotation_logs_pb2.ANNOTATION_LOG_STATE_RESOLVED: AnnotationState.RESOLVED,
}
_STATE_NUMBERS = {state: number for number, state in _STATES.items()}
_TEXT = annotation_logs_pb2.ANNOTATION_COMMENT_BODY_ELEMENT_TYPE_TEXT
_MENTION = annotation_logs_pb2.ANNOTATION_COMMENT_BODY_ELEMENT_TYPE_USER_MENTION


class AnnotationLogService:
    """Writes, lists and deletes what people said and did about annotations.

    An entry about a state or an assignee also changes the annotation; a change of the annotation
    makes such an entry, too.
    """

    SERVICE_NAME = "sift.annotation_logs.v1.AnnotationLogService"

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._annotations = catalog.annotations

    def create_annotation_log(
        self, request: annotation_logs_pb2.CreateAnnotationLogRequest
    ) -> annotation_logs_pb2.CreateAnnotationLogResponse:
        """Write an entry."""
        entry = self._annotations.add_log(request.annotation_id, _draft(request))
        (message,) = self._messages([entry])
        return annotation_logs_pb2.CreateAnnotationLogResponse(annotation_log=message)

    def list_annotation_logs(
        self, request: annotation_logs_pb2.ListAnnotationLogsRequest
    ) -> annotation_logs_pb2.ListAnnotationLogsResponse:
        """Return a page of the entries of an annotation, in the order in which they were made."""
        page = self._annotations.list_logs(request.annotation_id, list_request(request))
        return annotation_logs_pb2.ListAnnotationLogsResponse(
            annotation_logs=self._messages(page.items), next_page_token=page.next_token
        )

    def delete_annotation_log(
        self, request: annotation_logs_pb2.DeleteAnnotationLogRequest
    ) -> annotation_logs_pb2.DeleteAnnotationLogResponse:
        """Delete an entry; what it changed stays."""
        self._annotations.remove_log(request.annotation_id, request.annotation_log_id)
        return annotation_logs_pb2.DeleteAnnotationLogResponse()

    def _messages(
        self, entries: list[AnnotationLog]
    ) -> list[annotation_logs_pb2.AnnotationLogSearchResult]:
        user_ids = {entry.created_by_user_id for entry in entries}
        user_ids |= {entry.draft.assigned_to_user_id for entry in entries}
        user_ids |= {part.user_id for entry in entries for part in entry.draft.body}
        names = self._catalog.users.names(user_ids)
        return [_message(entry, names) for entry in entries]


def _draft(request: annotation_logs_pb2.CreateAnnotationLogRequest) -> LogDraft:
    kind = request.WhichOneof("properties")
    if kind == "comment":
        return LogDraft(LogKind.COMMENT, tuple(_parts(request.comment.body)))
    if kind == "assigned":
        assignee = request.assigned.assigned_to_user_id
        return LogDraft(LogKind.ASSIGNED, assigned_to_user_id=assignee)
    if kind == "state_update":
        state = _STATES.get(request.state_update.state)
        if state is None:
            raise InvalidArgumentError(
                "an entry about a state says open, flagged or resolved; others can't be set"
            )
        return LogDraft(LogKind.STATE_UPDATE, state=state)
    raise InvalidArgumentError(
        "the entry says nothing; give it a comment, a state_update or an assigned"
    )


def _parts(
    body: Iterable[annotation_logs_pb2.AnnotationCommentBodyElement],
) -> Iterable[CommentPart]:
    for element in body:
        if element.type == _MENTION:
            yield CommentPart(user_id=element.user_mention.user_id)
        else:
            yield CommentPart(text=element.text)


def _message(
    entry: AnnotationLog, names: dict[str, str]
) -> annotation_logs_pb2.AnnotationLogSearchResult:
    draft = entry.draft
    message = annotation_logs_pb2.AnnotationLogSearchResult(
        annotation_log_id=entry.annotation_log_id,
        created_date=to_timestamp(entry.created_ns),
        modified_date=to_timestamp(entry.created_ns),
        annotation_id=entry.annotation_id,
        kind=annotation_logs_pb2.AnnotationLogKind.ValueType(draft.kind),
        created_by_user_id=entry.created_by_user_id,
        created_by_user_name=names.get(entry.created_by_user_id, ""),
    )
    if draft.kind is LogKind.COMMENT:
        message.comment.body.extend(_element(part, names) for part in draft.body)
    elif draft.kind is LogKind.ASSIGNED:
        message.assigned.assigned_to_user_id = draft.assigned_to_user_id
        message.assigned.assigned_to_user_email = names.get(draft.assigned_to_user_id, "")
    elif draft.state is None:
        message.state_update.SetInParent()
    else:
        message.state_update.state = _STATE_NUMBERS[draft.state]
    return message


def _element(
    part: CommentPart, names: dict[str, str]
) -> annotation_logs_pb2.AnnotationCommentBodyElement:
    if not part.user_id:
        return annotation_logs_pb2.AnnotationCommentBodyElement(type=_TEXT, text=part.text)
    return annotation_logs_pb2.AnnotationCommentBodyElement(
        type=_MENTION,
        user_mention=annotation_logs_pb2.AnnotationCommentUserMention(
            user_id=part.user_id, user_email=names.get(part.user_id, "")
        ),
    )
