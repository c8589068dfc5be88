"""`sift.ingestion_configs.v1.IngestionConfigService`, for clients that know components."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift.ingestion_configs.v1 import ingestion_configs_pb2
from sift_server.api.services.convert import list_request
from sift_server.api.services.flows import from_flows, to_flow_v1

if TYPE_CHECKING:
    from sift_server.catalog import Catalog, IngestionConfig


class IngestionConfigService:
    """Gets, lists and creates ingestion configs and their flows."""

    SERVICE_NAME = "sift.ingestion_configs.v1.IngestionConfigService"

    def __init__(self, catalog: Catalog) -> None:
        self._configs = catalog.ingestion_configs

    def get_ingestion_config(
        self, request: ingestion_configs_pb2.GetIngestionConfigRequest
    ) -> ingestion_configs_pb2.GetIngestionConfigResponse:
        """Return an ingestion config."""
        config = self._configs.get(request.ingestion_config_id)
        return ingestion_configs_pb2.GetIngestionConfigResponse(ingestion_config=_message(config))

    def create_ingestion_config(
        self, request: ingestion_configs_pb2.CreateIngestionConfigRequest
    ) -> ingestion_configs_pb2.CreateIngestionConfigResponse:
        """Create an ingestion config, its flows, and asset and channels as far as they are new."""
        config = self._configs.create(
            request.asset_name,
            request.client_key,
            from_flows(request.flows),
            request.organization_id,
        )
        return ingestion_configs_pb2.CreateIngestionConfigResponse(
            ingestion_config=_message(config)
        )

    def list_ingestion_configs(
        self, request: ingestion_configs_pb2.ListIngestionConfigsRequest
    ) -> ingestion_configs_pb2.ListIngestionConfigsResponse:
        """Return a page of the ingestion configs."""
        page = self._configs.list(list_request(request))
        return ingestion_configs_pb2.ListIngestionConfigsResponse(
            ingestion_configs=map(_message, page.items), next_page_token=page.next_token
        )

    def create_ingestion_config_flows(
        self, request: ingestion_configs_pb2.CreateIngestionConfigFlowsRequest
    ) -> ingestion_configs_pb2.CreateIngestionConfigFlowsResponse:
        """Add flows to an ingestion config: all of them, or none."""
        self._configs.create_flows(request.ingestion_config_id, from_flows(request.flows))
        return ingestion_configs_pb2.CreateIngestionConfigFlowsResponse()

    def list_ingestion_config_flows(
        self, request: ingestion_configs_pb2.ListIngestionConfigFlowsRequest
    ) -> ingestion_configs_pb2.ListIngestionConfigFlowsResponse:
        """Return a page of the flows of an ingestion config."""
        page = self._configs.list_flows(request.ingestion_config_id, list_request(request))
        return ingestion_configs_pb2.ListIngestionConfigFlowsResponse(
            flows=map(to_flow_v1, page.items), next_page_token=page.next_token
        )


def _message(config: IngestionConfig) -> ingestion_configs_pb2.IngestionConfig:
    return ingestion_configs_pb2.IngestionConfig(
        ingestion_config_id=config.ingestion_config_id,
        asset_id=config.asset_id,
        client_key=config.client_key,
    )
