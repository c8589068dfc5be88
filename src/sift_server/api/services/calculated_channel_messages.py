"""Calculated channels between their messages and the catalog."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sift.calculated_channels.v2 import calculated_channels_pb2 as pb2
from sift_server.api.services.convert import from_metadata, to_metadata, to_timestamp
from sift_server.api.services.expression_requests import from_request, inline_message
from sift_server.catalog import CalculatedContent, CalculatedReference
from sift_server.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Collection

    from sift_server.calculated import Inapplicable
    from sift_server.catalog import CalculatedChannel

_CONFIGURATION = "calculated_channel_configuration"
# Published clients name the parts without the whole.
_SCOPE = frozenset({_CONFIGURATION, f"{_CONFIGURATION}.asset_configuration", "asset_configuration"})
_QUERY = frozenset({_CONFIGURATION, f"{_CONFIGURATION}.query_configuration", "query_configuration"})

UPDATABLE = (
    _SCOPE
    | _QUERY
    | {
        "name",
        "description",
        "units",
        "metadata",
        "is_archived",
        "archived_date",
    }
)
"""The paths of a mask of an update."""


def asks_anew(paths: Collection[str]) -> bool:
    """Whether an update says anew what the names in the expression stand for."""
    return not (_SCOPE | _QUERY).isdisjoint(paths)


def from_create(request: pb2.CreateCalculatedChannelRequest) -> CalculatedContent:
    """Read what a calculated channel is to be.

    Raises:
        InvalidArgumentError: It has no expression, or something that this server lacks.
    """
    configuration = request.calculated_channel_configuration
    return CalculatedContent(
        name=request.name,
        description=request.description,
        units=request.units if request.HasField("units") else None,
        metadata=from_metadata(request.metadata),
        **_query(configuration.query_configuration),
        **_scope(configuration.asset_configuration),
    )


def from_configuration(message: pb2.CalculatedChannelConfiguration) -> CalculatedContent:
    """Read a calculated channel that is not stored, without a name.

    Raises:
        InvalidArgumentError: As for `from_create`.
    """
    return CalculatedContent(
        name="", **_query(message.query_configuration), **_scope(message.asset_configuration)
    )


def updated(
    content: CalculatedContent, wanted: pb2.CalculatedChannel, paths: Collection[str]
) -> CalculatedContent:
    """Return what an update makes of a content.

    Raises:
        InvalidArgumentError: As for `from_create`.
    """
    changes: dict[str, Any] = {}
    if "name" in paths:
        changes["name"] = wanted.name
    if "description" in paths:
        changes["description"] = wanted.description
    if "units" in paths:
        changes["units"] = wanted.units if wanted.HasField("units") else None
    if "metadata" in paths:
        changes["metadata"] = from_metadata(wanted.metadata)
    configuration = wanted.calculated_channel_configuration
    if not _QUERY.isdisjoint(paths):
        changes.update(_query(configuration.query_configuration))
    if not _SCOPE.isdisjoint(paths):
        changes.update(_scope(configuration.asset_configuration))
    return replace(content, **changes)


def _query(message: pb2.CalculatedChannelQueryConfiguration) -> dict[str, Any]:
    if message.WhichOneof("query") is None:
        raise InvalidArgumentError(
            "the calculated channel has no expression; set it as query_configuration.sel"
        )
    references = tuple(
        CalculatedReference(
            one.channel_reference,
            one.channel_identifier,
            one.calculated_channel_version_id,
            from_request(one.calculated_channel) if one.HasField("calculated_channel") else None,
        )
        for one in message.sel.expression_channel_references
    )
    return {"expression": message.sel.expression, "references": references}


def _scope(message: pb2.CalculatedChannelAssetConfiguration) -> dict[str, Any]:
    return {
        "has_all_assets": message.all_assets,
        "asset_ids": tuple(dict.fromkeys(message.selection.asset_ids)),
        "tag_ids": tuple(dict.fromkeys(message.selection.tag_ids)),
    }


def to_channel(channel: CalculatedChannel) -> pb2.CalculatedChannel:
    """Write a calculated channel in the version that it was read in."""
    content = channel.content
    return pb2.CalculatedChannel(
        calculated_channel_id=channel.calculated_channel_id,
        organization_id=channel.organization_id,
        client_key=channel.client_key,
        archived_date=to_timestamp(channel.archived_ns),
        is_archived=channel.archived_ns is not None,
        version_id=channel.version_id,
        version=channel.number,
        name=content.name,
        description=content.description,
        change_message=channel.change_message,
        user_notes=channel.notes,
        created_date=to_timestamp(channel.created_ns),
        modified_date=to_timestamp(channel.modified_ns),
        calculated_channel_configuration=_to_configuration(content),
        created_by_user_id=channel.created_by_user_id,
        modified_by_user_id=channel.modified_by_user_id,
        units=content.units,
        metadata=to_metadata(content.metadata),
        calculated_channel_dependencies=[
            pb2.CalculatedChannelDependency(calculated_channel_version_id=version_id)
            for version_id in content.version_ids
        ],
    )


def to_version(channel: CalculatedChannel) -> pb2.CalculatedChannel:
    """Write a version of a calculated channel, with when it was made."""
    message = to_channel(channel)
    made = to_timestamp(channel.version_created_ns)
    assert made is not None  # noqa: S101 - it has a time
    message.created_date.CopyFrom(made)
    message.modified_date.CopyFrom(made)
    return message


def _to_configuration(content: CalculatedContent) -> pb2.CalculatedChannelConfiguration:
    scope = pb2.CalculatedChannelAssetConfiguration()
    if content.has_all_assets:
        scope.all_assets = True
    else:
        scope.selection.asset_ids.extend(content.asset_ids)
        scope.selection.tag_ids.extend(content.tag_ids)
    return pb2.CalculatedChannelConfiguration(
        asset_configuration=scope,
        query_configuration=pb2.CalculatedChannelQueryConfiguration(
            sel=pb2.CalculatedChannelQueryConfiguration.Sel(
                expression=content.expression,
                expression_channel_references=map(_to_reference, content.references),
            )
        ),
    )


def _to_reference(one: CalculatedReference) -> pb2.CalculatedChannelAbstractChannelReference:
    message = pb2.CalculatedChannelAbstractChannelReference(
        channel_reference=one.reference, channel_identifier=one.identifier
    )
    if one.version_id:
        message.calculated_channel_version_id = one.version_id
    elif one.inline is not None:
        message.calculated_channel.CopyFrom(inline_message(one.inline))
    return message


def to_validation(one: Inapplicable) -> pb2.CalculatedChannelValidationResult:
    """Write that a calculated channel does not fit an asset."""
    return pb2.CalculatedChannelValidationResult(
        asset_id=one.asset_id,
        asset_name=one.asset_name,
        tag_names=one.tags,
        missing_channels=one.missing,
    )
