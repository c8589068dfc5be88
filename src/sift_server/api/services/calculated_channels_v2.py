"""`sift.calculated_channels.v2.CalculatedChannelService`."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from sift.calculated_channels.v2 import calculated_channels_pb2 as pb2
from sift_server.api.services.calculated_channel_messages import (
    UPDATABLE,
    asks_anew,
    from_configuration,
    from_create,
    to_channel,
    to_validation,
    to_version,
    updated,
)
from sift_server.api.services.convert import list_request, to_data_type
from sift_server.api.services.expression_requests import to_request
from sift_server.api.services.masks import update_paths
from sift_server.api.services.rule_messages import to_rule
from sift_server.calculated import DATA_TYPES, CalculatedRegistration, Resolution
from sift_server.errors import InvalidArgumentError, NotFoundError
from sift_server.rules.sources import SourceKey

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sift_server.calculated import Resolved
    from sift_server.catalog import CalculatedContent, Catalog
    from sift_server.lake import PointStore

RESOLVED_AT_ONCE_MAX = 1_000
"""How many calculated channels one call may resolve."""


class CalculatedChannelService:
    """Creates, updates, gets and lists calculated channels, and resolves them for assets."""

    SERVICE_NAME = "sift.calculated_channels.v2.CalculatedChannelService"

    def __init__(self, catalog: Catalog, store: PointStore) -> None:
        self._catalog = catalog
        self._channels = catalog.calculated_channels
        self._registration = CalculatedRegistration(catalog)
        self._store = store

    def get_calculated_channel(
        self, request: pb2.GetCalculatedChannelRequest
    ) -> pb2.GetCalculatedChannelResponse:
        """Return a calculated channel by its id or client key, or as it was in a version."""
        if request.calculated_channel_version_id:
            (channel,) = self._channels.versions([request.calculated_channel_version_id])
        else:
            channel = self._channels.get(request.calculated_channel_id, request.client_key)
        return pb2.GetCalculatedChannelResponse(calculated_channel=to_channel(channel))

    def create_calculated_channel(
        self, request: pb2.CreateCalculatedChannelRequest
    ) -> pb2.CreateCalculatedChannelResponse:
        """Create a calculated channel, and say which of its assets it does not fit."""
        channel, inapplicable = self._registration.create(
            from_create(request), notes=request.user_notes, client_key=request.client_key or None
        )
        return pb2.CreateCalculatedChannelResponse(
            calculated_channel=to_channel(channel),
            inapplicable_assets=map(to_validation, inapplicable),
        )

    def update_calculated_channel(
        self, request: pb2.UpdateCalculatedChannelRequest
    ) -> pb2.UpdateCalculatedChannelResponse:
        """Change a calculated channel, as a next version, or archive it or take it out again."""
        wanted = request.calculated_channel
        paths = update_paths(request.update_mask, wanted, UPDATABLE)
        is_archived = None
        if "is_archived" in paths:
            is_archived = wanted.is_archived
        elif "archived_date" in paths:
            is_archived = wanted.HasField("archived_date")
        channel, inapplicable = self._registration.update(
            wanted.calculated_channel_id,
            wanted.client_key,
            functools.partial(updated, wanted=wanted, paths=paths),
            notes=request.user_notes if request.HasField("user_notes") else None,
            is_archived=is_archived,
            pins_anew=asks_anew(paths),
        )
        return pb2.UpdateCalculatedChannelResponse(
            calculated_channel=to_channel(channel),
            inapplicable_assets=map(to_validation, inapplicable),
        )

    def list_calculated_channels(
        self, request: pb2.ListCalculatedChannelsRequest
    ) -> pb2.ListCalculatedChannelsResponse:
        """Return a page of the calculated channels."""
        page = self._channels.list(list_request(request))
        return pb2.ListCalculatedChannelsResponse(
            calculated_channels=map(to_channel, page.items), next_page_token=page.next_token
        )

    def list_calculated_channel_versions(
        self, request: pb2.ListCalculatedChannelVersionsRequest
    ) -> pb2.ListCalculatedChannelVersionsResponse:
        """Return a page of the versions of a calculated channel."""
        page = self._channels.list_versions(
            request.calculated_channel_id, request.client_key, list_request(request)
        )
        return pb2.ListCalculatedChannelVersionsResponse(
            calculated_channel_versions=map(to_version, page.items),
            next_page_token=page.next_token,
        )

    def get_calculated_channel_versions(
        self, request: pb2.GetCalculatedChannelVersionsRequest
    ) -> pb2.GetCalculatedChannelVersionsResponse:
        """Return calculated channels as they were in some versions."""
        channels = self._channels.versions(request.calculated_channel_version_ids)
        return pb2.GetCalculatedChannelVersionsResponse(
            calculated_channels=map(to_version, channels)
        )

    def get_calculated_channel_dependents(
        self, request: pb2.GetCalculatedChannelDependentsRequest
    ) -> pb2.GetCalculatedChannelDependentsResponse:
        """Return the calculated channels and rules that name one in their newest version."""
        channels, rules = self._channels.dependents(
            request.calculated_channel_id, request.calculated_channel_version_id
        )
        return pb2.GetCalculatedChannelDependentsResponse(
            calculated_channels=map(to_channel, channels), rules=map(to_rule, rules)
        )

    def resolve_calculated_channel(
        self, request: pb2.ResolveCalculatedChannelRequest
    ) -> pb2.ResolveCalculatedChannelResponse:
        """Say what a calculated channel is for assets: an expression over ids of channels.

        Without assets, for all that it is for; with a run, for those of them that have data in it.
        """
        return self._resolved(request, Resolution(self._catalog))

    def batch_resolve_calculated_channels(
        self, request: pb2.BatchResolveCalculatedChannelsRequest
    ) -> pb2.BatchResolveCalculatedChannelsResponse:
        """Resolve several calculated channels, in their order."""
        if len(request.requests) > RESOLVED_AT_ONCE_MAX:
            raise InvalidArgumentError(
                f"the call has {len(request.requests):,} calculated channels; it may have"
                f" {RESOLVED_AT_ONCE_MAX:,} (RESOLVED_AT_ONCE_MAX)"
            )
        resolution = Resolution(self._catalog)
        return pb2.BatchResolveCalculatedChannelsResponse(
            responses=[self._resolved(one, resolution) for one in request.requests]
        )

    def list_resolved_calculated_channels(
        self, request: pb2.ListResolvedCalculatedChannelsRequest
    ) -> pb2.ListResolvedCalculatedChannelsResponse:
        """Return a page of the calculated channels of an asset, resolved for it."""
        if not request.asset_id:
            raise InvalidArgumentError(
                "name the asset, as asset_id; the catalog does not say which assets have data of a"
                " run"
            )
        self._catalog.assets.get(request.asset_id)
        page = self._channels.list(list_request(request), request.asset_id)
        resolution = Resolution(self._catalog)
        found = []
        for channel in page.items:
            message = pb2.CalculatedChannelResolution(calculated_channel=to_channel(channel))
            self._resolve_into(
                message,
                channel.content,
                channel.calculated_channel_id,
                [request.asset_id],
                resolution,
                request.run_id or None,
            )
            found.append(message)
        return pb2.ListResolvedCalculatedChannelsResponse(
            calculated_channel_resolutions=found, next_page_token=page.next_token
        )

    def _resolved(
        self, request: pb2.ResolveCalculatedChannelRequest, resolution: Resolution
    ) -> pb2.ResolveCalculatedChannelResponse:
        response = pb2.ResolveCalculatedChannelResponse()
        channel_id = None
        match request.WhichOneof("calculated_channel"):
            case "identifier":
                known = self._channels.get(request.identifier.id, request.identifier.client_key)
                content, channel_id = known.content, known.calculated_channel_id
                response.calculated_channel_id = channel_id
            case "calculated_channel_configuration":
                content = from_configuration(request.calculated_channel_configuration)
            case _:
                raise InvalidArgumentError(
                    "say which calculated channel: identifier or calculated_channel_configuration"
                )
        run_id = None
        if request.HasField("run"):
            run = request.run
            runs = self._catalog.runs
            run_id = runs.get(run.id).run_id if run.id else runs.id_of_client_key(run.client_key)
        wanted = [*request.assets.ids.ids, *request.assets.names.names]
        asset_ids = self._channels.assets_of(content)
        if wanted:
            known_ids = self._catalog.assets.ids_of(wanted)
            for name in wanted:
                if name not in known_ids:
                    raise NotFoundError(f"there is no asset {name!r}")
            asked = list(dict.fromkeys(known_ids[name] for name in wanted))
            if channel_id is not None:
                for asset_id in asked:
                    if asset_id not in asset_ids:
                        response.unresolved.add(
                            asset_name=self._catalog.assets.get(asset_id).name,
                            error_message=f"the calculated channel {content.name!r} is not for"
                            " this asset",
                        )
                asked = [asset_id for asset_id in asked if asset_id in asset_ids]
            asset_ids = tuple(asked)
        self._resolve_into(response, content, channel_id, asset_ids, resolution, run_id)
        return response

    def _resolve_into(
        self,
        message: pb2.ResolveCalculatedChannelResponse | pb2.CalculatedChannelResolution,
        content: CalculatedContent,
        channel_id: str | None,
        asset_ids: Iterable[str],
        resolution: Resolution,
        run_id: str | None,
    ) -> None:
        for asset_id in asset_ids:
            asset_name = self._catalog.assets.get(asset_id).name
            try:
                resolved = resolution.of_asset(content, asset_id, channel_id)
            except InvalidArgumentError as error:
                message.unresolved.add(asset_name=asset_name, error_message=str(error))
                continue
            if run_id is None or self._is_in_run(resolved, run_id):
                message.resolved.add(
                    asset_id=asset_id,
                    asset_name=asset_name,
                    expression_request=to_request(content.expression, resolved.names),
                    output_data_type=to_data_type(DATA_TYPES[resolved.expression.type]),
                )

    def _is_in_run(self, resolved: Resolved, run_id: str) -> bool:
        """Whether a channel of it has points of a run."""
        for source in resolved.expression.sources:
            key = source.key
            assert isinstance(key, SourceKey)  # noqa: S101 - made by `source_of`
            view = self._store.view(key.channel_id, key.data_type)
            if any(len(window) for window in view.read(run_id, -(2**63), 2**63 - 1)):
                return True
        return False
