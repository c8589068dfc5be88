"""`sift.assets.v1.AssetService`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sift.assets.v1 import assets_pb2
from sift_server.api.services.convert import (
    from_metadata,
    from_timestamp,
    list_request,
    to_metadata,
    to_timestamp,
)
from sift_server.api.services.masks import archived_since, update_paths
from sift_server.catalog import Attributes
from sift_server.errors import UnimplementedError

if TYPE_CHECKING:
    from sift_server.catalog import Asset, Catalog

_UPDATABLE = ("tags", "metadata", "is_archived", "archived_date")


class AssetService:
    """Gets, lists, updates and archives assets, which their first ingestion config creates."""

    SERVICE_NAME = "sift.assets.v1.AssetService"

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def get_asset(self, request: assets_pb2.GetAssetRequest) -> assets_pb2.GetAssetResponse:
        """Return an asset."""
        asset = self._catalog.assets.get(request.asset_id)
        return assets_pb2.GetAssetResponse(asset=_message(asset))

    def list_assets(self, request: assets_pb2.ListAssetsRequest) -> assets_pb2.ListAssetsResponse:
        """Return a page of the assets."""
        page = self._catalog.assets.list(list_request(request))
        return assets_pb2.ListAssetsResponse(
            assets=map(_message, page.items), next_page_token=page.next_token
        )

    def update_asset(
        self, request: assets_pb2.UpdateAssetRequest
    ) -> assets_pb2.UpdateAssetResponse:
        """Replace tags, metadata, or whether the asset is archived."""
        wanted = request.asset
        paths = update_paths(request.update_mask, wanted, _UPDATABLE)
        metadata = from_metadata(wanted.metadata)

        def change(asset: Asset) -> Asset:
            archived_ns = asset.archived_ns
            if "archived_date" in paths:
                has_date = wanted.HasField("archived_date")
                archived_ns = (
                    from_timestamp(wanted.archived_date, "archived_date") if has_date else None
                )
            archived_ns = archived_since(
                archived_ns, paths, self._catalog.now_ns, is_archived=wanted.is_archived
            )
            return replace(
                asset,
                archived_ns=archived_ns,
                attributes=Attributes(
                    tags=tuple(wanted.tags) if "tags" in paths else asset.attributes.tags,
                    metadata=metadata if "metadata" in paths else asset.attributes.metadata,
                ),
            )

        asset = self._catalog.assets.update(wanted.asset_id, change)
        return assets_pb2.UpdateAssetResponse(asset=_message(asset))

    def archive_asset(
        self, request: assets_pb2.ArchiveAssetRequest
    ) -> assets_pb2.ArchiveAssetResponse:
        """Archive an asset; one that is archived stays so since when it is."""
        if request.archive_runs:
            raise UnimplementedError(
                "this server does not know which runs are of one asset; archive the runs that you"
                " mean one by one, and the asset without archive_runs"
            )
        now_ns = self._catalog.now_ns()

        def change(asset: Asset) -> Asset:
            is_archived = asset.archived_ns is not None
            return asset if is_archived else replace(asset, archived_ns=now_ns)

        self._catalog.assets.update(request.asset_id, change)
        return assets_pb2.ArchiveAssetResponse()


def _message(asset: Asset) -> assets_pb2.Asset:
    return assets_pb2.Asset(
        asset_id=asset.asset_id,
        name=asset.name,
        organization_id=asset.organization_id,
        created_date=to_timestamp(asset.created_ns),
        modified_date=to_timestamp(asset.modified_ns),
        tags=asset.attributes.tags,
        metadata=to_metadata(asset.attributes.metadata),
        archived_date=to_timestamp(asset.archived_ns),
        is_archived=asset.archived_ns is not None,
    )
