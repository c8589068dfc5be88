"""`sift.tags.v2.TagService`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift.tags.v2 import tags_pb2
from sift_server.api.services.convert import list_request, to_timestamp
from sift_server.catalog import TagUse

if TYPE_CHECKING:
    from sift_server.catalog import Catalog, Tag

_USES = {
    tags_pb2.TAG_TYPE_ANNOTATION: TagUse.ANNOTATION,
    tags_pb2.TAG_TYPE_ASSET: TagUse.ASSET,
    tags_pb2.TAG_TYPE_REPORT: TagUse.REPORT,
    tags_pb2.TAG_TYPE_REPORT_TEMPLATE: TagUse.REPORT_TEMPLATE,
    tags_pb2.TAG_TYPE_RUN: TagUse.RUN,
}


class TagService:
    """Creates and lists tags. Whatever is tagged with a name makes the tag, too."""

    SERVICE_NAME = "sift.tags.v2.TagService"

    def __init__(self, catalog: Catalog) -> None:
        self._tags = catalog.tags

    def create_tag(self, request: tags_pb2.CreateTagRequest) -> tags_pb2.CreateTagResponse:
        """Return the tag of a name, which is made if there is none."""
        return tags_pb2.CreateTagResponse(tag=_message(self._tags.create(request.name)))

    def list_tags(self, request: tags_pb2.ListTagsRequest) -> tags_pb2.ListTagsResponse:
        """Return a page of the tags; of a type, those that are on nothing yet are among them."""
        page = self._tags.list(list_request(request), _USES.get(request.tag_type))
        return tags_pb2.ListTagsResponse(
            tags=map(_message, page.items), next_page_token=page.next_token
        )


def _message(tag: Tag) -> tags_pb2.Tag:
    return tags_pb2.Tag(
        tag_id=tag.tag_id,
        name=tag.name,
        created_by_user_id=tag.created_by_user_id,
        created_date=to_timestamp(tag.created_ns),
    )
