"""`annotations.v1` and `annotation_logs.v1`: what clients send, and get back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from sift.annotation_logs.v1 import annotation_logs_pb2
from sift.annotations.v1 import annotations_pb2
from sift.metadata.v1 import metadata_pb2
from sift_server.api.services.annotation_logs import AnnotationLogService
from sift_server.api.services.annotations import AnnotationService
from sift_server.catalog import CalculatedContent, RunDraft
from sift_server.errors import InvalidArgumentError, NotFoundError
from support.catalogs import flow_of

if TYPE_CHECKING:
    from sift_server.catalog import Catalog

REVIEW = annotations_pb2.ANNOTATION_TYPE_DATA_REVIEW
PHASE = annotations_pb2.ANNOTATION_TYPE_PHASE


@pytest.fixture
def asset_id(catalog: Catalog) -> str:
    """An asset."""
    return catalog.ingestion_configs.create("rover", "rover-v1", [flow_of("f", "speed")]).asset_id


@pytest.fixture
def service(catalog: Catalog) -> AnnotationService:
    """The service of annotations."""
    return AnnotationService(catalog)


@pytest.fixture
def logs(catalog: Catalog) -> AnnotationLogService:
    """The service of their logs."""
    return AnnotationLogService(catalog)


def create(service: AnnotationService, *assets: str, **more) -> annotations_pb2.Annotation:
    request = annotations_pb2.CreateAnnotationRequest(
        **{
            "name": "odd noise",
            "start_time": Timestamp(seconds=5, nanos=1),
            "end_time": Timestamp(seconds=9),
            "assets": assets,
            "annotation_type": REVIEW,
            **more,
        }
    )
    return service.create_annotation(request).annotation


def get(service: AnnotationService, annotation_id: str) -> annotations_pb2.Annotation:
    request = annotations_pb2.GetAnnotationRequest(annotation_id=annotation_id)
    return service.get_annotation(request).annotation


def test_an_annotation_comes_back_as_it_was_made(catalog, service, asset_id):
    """Every field that a client sends; assets by id or by name."""
    (channel,) = catalog.channels.named(asset_id, ["speed"]).values()
    owner = catalog.users.owner()
    calculated = catalog.calculated_channels.create(
        CalculatedContent("twice", "speed * 2", asset_ids=(asset_id,))
    )
    linked = [
        annotations_pb2.AnnotationLinkedChannel(
            calculated_channel=annotations_pb2.AnnotationLinkedCalculatedChannel(
                calculated_channel_version_id=calculated.version_id
            )
        ),
        annotations_pb2.AnnotationLinkedChannel(
            channel=annotations_pb2.AnnotationLinkedChannelsChannel(channel_id=channel.channel_id)
        ),
        annotations_pb2.AnnotationLinkedChannel(
            bit_field_element=annotations_pb2.AnnotationLinkedChannelsBitFieldElement(
                channel_id=channel.channel_id, bit_field_name="b"
            )
        ),
    ]
    metadata = [
        metadata_pb2.MetadataValue(
            key=metadata_pb2.MetadataKey(name="level", type=metadata_pb2.METADATA_KEY_TYPE_NUMBER),
            number_value=3,
        )
    ]
    run_id = catalog.runs.create(RunDraft("night")).run_id
    annotation = create(
        service, "rover", asset_id,
        description="listen", tags=["noise"], run_id=run_id, assign_to_user_id=owner.user_id,
        organization_id="org", legend_config="{}", linked_channels=linked, metadata=metadata,
    )  # fmt: skip
    assert (annotation.name, annotation.description) == ("odd noise", "listen")
    assert (annotation.start_time.seconds, annotation.start_time.nanos) == (5, 1)
    assert (list(annotation.asset_ids), list(annotation.tags)) == ([asset_id], ["noise"])
    assert (annotation.run_id, annotation.organization_id) == (run_id, "org")
    assert annotation.state == annotations_pb2.ANNOTATION_STATE_OPEN
    assert annotation.annotation_type == REVIEW
    assert annotation.assigned_to_user.user_name == owner.name
    assert annotation.legend_config == "{}"
    assert list(annotation.linked_channels) == linked
    assert list(annotation.metadata) == metadata
    assert not annotation.HasField("created_by_condition_id")
    assert not annotation.pending
    assert get(service, annotation.annotation_id) == annotation


def test_a_phase_has_no_state(service, asset_id):
    """The field is not set."""
    assert not create(service, asset_id, annotation_type=PHASE).HasField("state")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"start_time": None}, "no start_time"),
        ({"end_time": None}, "no end_time"),
        ({"assets": ["nowhere"]}, "the id or name 'nowhere'"),
        ({"run_id": "x"}, "no run with the id 'x'"),
        ({"created_by_condition_id": "x"}, "no condition with the id 'x'"),
        ({"state": 9}, r"the state 9, which is none; .* ANNOTATION_STATE_OPEN \(1\), "),
        ({"annotation_type": 9}, r"annotation_type 9, .* ANNOTATION_TYPE_PHASE \(2\)"),
        ({"linked_channels": [annotations_pb2.AnnotationLinkedChannel()]}, "linked to nothing"),
    ],
)
def test_what_is_no_annotation_is_refused(service, asset_id, wrong, said):
    """With a sentence that says what is missing."""
    with pytest.raises((InvalidArgumentError, NotFoundError), match=said):
        create(service, asset_id, **wrong)


def test_an_update_changes_what_the_mask_names(catalog, service, asset_id):
    """And nothing else."""
    before = create(service, asset_id, tags=["a"])
    request = annotations_pb2.UpdateAnnotationRequest(
        annotation=annotations_pb2.Annotation(
            annotation_id=before.annotation_id,
            name="ignored",
            state=annotations_pb2.ANNOTATION_STATE_RESOLVED,
            tags=["b"],
            end_time=Timestamp(seconds=7),
            assigned_to_user_id=catalog.users.owner().user_id,
            is_archived=True,
        ),
        update_mask=FieldMask(
            paths=["state", "tags", "end_time", "assigned_to_user_id", "is_archived"]
        ),
    )
    after = service.update_annotation(request).annotation
    assert (after.name, list(after.tags), after.end_time.seconds) == ("odd noise", ["b"], 7)
    assert after.state == annotations_pb2.ANNOTATION_STATE_RESOLVED
    assert after.assigned_to_user.user_id == catalog.users.owner().user_id
    assert after.is_archived
    assert after.HasField("archived_date")
    assert get(service, before.annotation_id) == after
    request.update_mask.paths[:] = ["pending"]
    with pytest.raises(InvalidArgumentError, match="'pending'"):
        service.update_annotation(request)


def test_annotations_are_archived_and_deleted(service, asset_id):
    """One or many."""
    a, b = create(service, asset_id, name="a"), create(service, asset_id, name="b")
    ids = [a.annotation_id, b.annotation_id]

    def names(filter_: str = "") -> list[str]:
        request = annotations_pb2.ListAnnotationsRequest(filter=filter_, order_by="name")
        return [one.name for one in service.list_annotations(request).annotations]

    one = annotations_pb2.ArchiveAnnotationRequest(annotation_id=ids[0])
    assert service.archive_annotation(one).annotation.is_archived
    assert names("is_archived == false") == ["b"]
    both = annotations_pb2.BatchArchiveAnnotationsRequest(annotation_ids=ids)
    assert all(each.is_archived for each in service.batch_archive_annotations(both).annotations)
    back = annotations_pb2.UnarchiveAnnotationRequest(annotation_id=ids[1])
    assert not service.unarchive_annotation(back).annotation.is_archived
    all_back = annotations_pb2.BatchUnarchiveAnnotationsRequest(annotation_ids=ids)
    assert len(service.batch_unarchive_annotations(all_back).annotations) == 2
    assert names("is_archived == false") == ["a", "b"]
    service.delete_annotation(annotations_pb2.DeleteAnnotationRequest(annotation_id=ids[0]))
    assert names() == ["b"]
    with pytest.raises(NotFoundError):
        get(service, ids[0])
    service.batch_delete_annotations(
        annotations_pb2.BatchDeleteAnnotationsRequest(annotation_ids=ids[1:])
    )
    assert names() == []


def test_the_log_has_comments_states_and_assignees(catalog, service, logs, asset_id):
    """In the order in which they came, with the names of users."""
    annotation = create(service, asset_id)
    owner = catalog.users.owner()
    pb = annotation_logs_pb2
    body = [
        pb.AnnotationCommentBodyElement(
            type=pb.ANNOTATION_COMMENT_BODY_ELEMENT_TYPE_TEXT, text="look, "
        ),
        pb.AnnotationCommentBodyElement(
            type=pb.ANNOTATION_COMMENT_BODY_ELEMENT_TYPE_USER_MENTION,
            user_mention=pb.AnnotationCommentUserMention(
                user_id=owner.user_id, user_email=owner.name
            ),
        ),
    ]

    def write(**properties) -> pb.AnnotationLogSearchResult:
        request = pb.CreateAnnotationLogRequest(
            annotation_id=annotation.annotation_id, **properties
        )
        return logs.create_annotation_log(request).annotation_log

    comment = write(comment=pb.AnnotationLogCommentProperties(body=body))
    assert comment.kind == pb.ANNOTATION_LOG_KIND_COMMENT
    assert list(comment.comment.body) == body
    assert comment.created_by_user_name == owner.name
    flagged = write(
        state_update=pb.AnnotationLogStateUpdateProperties(state=pb.ANNOTATION_LOG_STATE_FLAGGED)
    )
    assert flagged.state_update.state == pb.ANNOTATION_LOG_STATE_FLAGGED
    assigned = write(assigned=pb.AnnotationLogAssignedProperties(assigned_to_user_id=owner.user_id))
    assert assigned.assigned.assigned_to_user_email == owner.name
    now = get(service, annotation.annotation_id)
    assert now.state == annotations_pb2.ANNOTATION_STATE_FLAGGED
    assert now.assigned_to_user_id == owner.user_id
    request = pb.ListAnnotationLogsRequest(annotation_id=annotation.annotation_id)
    assert list(logs.list_annotation_logs(request).annotation_logs) == [comment, flagged, assigned]
    # As the newest client asks.
    since = "modified_date > timestamp('1990-01-01T00:00:00+00:00')"
    for kind, entry in {"COMMENT": comment, "STATE_UPDATE": flagged, "ASSIGNED": assigned}.items():
        of_kind = pb.ListAnnotationLogsRequest(
            annotation_id=annotation.annotation_id, filter=f"kind == '{kind}' && {since}"
        )
        assert list(logs.list_annotation_logs(of_kind).annotation_logs) == [entry]
    logs.delete_annotation_log(
        pb.DeleteAnnotationLogRequest(
            annotation_id=annotation.annotation_id, annotation_log_id=flagged.annotation_log_id
        )
    )
    assert list(logs.list_annotation_logs(request).annotation_logs) == [comment, assigned]
    with pytest.raises(InvalidArgumentError, match="says nothing"):
        write()
    with pytest.raises(InvalidArgumentError, match="open, flagged or resolved"):
        write(state_update=pb.AnnotationLogStateUpdateProperties())
