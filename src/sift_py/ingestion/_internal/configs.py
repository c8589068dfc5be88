"""The ingestion config of a telemetry config: found or made, with its flows."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import grpc

from sift.assets.v1.assets_pb2 import GetAssetRequest
from sift.assets.v1.assets_pb2_grpc import AssetServiceStub
from sift.ingestion_configs.v1.ingestion_configs_pb2 import (
    CreateIngestionConfigFlowsRequest,
    CreateIngestionConfigRequest,
    GetIngestionConfigRequest,
    IngestionConfig,
    ListIngestionConfigFlowsRequest,
    ListIngestionConfigsRequest,
)
from sift.ingestion_configs.v1.ingestion_configs_pb2 import FlowConfig as FlowConfigPb
from sift.ingestion_configs.v1.ingestion_configs_pb2_grpc import IngestionConfigServiceStub
from sift_py.errors import IngestionValidationError
from sift_py.ingestion._internal.calls import (
    CONTROL_CALL_TIMEOUT_S,
    call_with_retries,
    equals_filter,
)
from sift_py.ingestion._internal.declared import check_flow
from sift_py.ingestion._internal.layout import layout_of
from sift_py.ingestion._internal.reconcile import reconcile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sift_py.grpc.retry import RetryPolicy
    from sift_py.grpc.transport import SiftChannel
    from sift_py.ingestion._internal.layout import FlowLayout
    from sift_py.ingestion.config.telemetry import TelemetryConfig
    from sift_py.ingestion.flow import FlowConfig

FLOWS_PAGE_SIZE = 1000
CREATE_ATTEMPTS_MAX = 3
"""How often flows are compared again because others made some of them in between."""

_EXISTS = {grpc.StatusCode.ALREADY_EXISTS, grpc.StatusCode.FAILED_PRECONDITION}
_CANNOT_TELL = {grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.PERMISSION_DENIED}


class IngestionConfigs:
    """The calls about ingestion configs. Safe from many threads.

    Every method may raise `grpc.RpcError`.
    """

    def __init__(self, channel: SiftChannel, retry_policy: RetryPolicy) -> None:
        # What was created already, by an attempt whose answer was lost, is found when it exists.
        self._call = partial(call_with_retries, policy=retry_policy)
        self._stub = IngestionConfigServiceStub(channel)
        self._assets = AssetServiceStub(channel)

    def open(self, config: TelemetryConfig) -> tuple[IngestionConfig, dict[str, FlowLayout]]:
        """Find or create the ingestion config of a telemetry config, and its flows.

        Returns:
            The ingestion config, and the layouts of the telemetry config's flows by name.

        Raises:
            IngestionValidationError: The server has something else under the client key: another
                asset, or a flow that can't become what is declared.
        """
        layouts = {flow.name: layout_of(flow) for flow in config.flows}
        found = self._find(config.ingestion_client_key)
        if found is None:
            try:
                return self._create(config), layouts
            except grpc.RpcError as error:
                # Another process may have made it since.
                found = self._find(config.ingestion_client_key) if _exists(error) else None
                if found is None:
                    raise
        self._check_asset(found, config)
        if config.flows:
            layouts = self._ensure_flows(found.ingestion_config_id, config.flows)
        return found, layouts

    def is_known(self, ingestion_config_id: str) -> bool:
        """Whether the server is known to have an ingestion config. Tries nothing again."""
        request = GetIngestionConfigRequest(ingestion_config_id=ingestion_config_id)
        try:
            self._stub.GetIngestionConfig(request, timeout=CONTROL_CALL_TIMEOUT_S)
        except grpc.RpcError as error:
            if error.code() in {grpc.StatusCode.NOT_FOUND, *_CANNOT_TELL}:
                return False
            raise
        return True

    def create_flows(
        self, ingestion_config_id: str, flows: Sequence[FlowConfig]
    ) -> dict[str, FlowLayout]:
        """Create flows in one call.

        Flows that the server has already are taken as they are there, so that a program which makes
        flows as it goes can be started again.

        Returns:
            Their layouts by name.

        Raises:
            IngestionValidationError: The server has a flow of such a name that can't become what
                is declared, or a name is declared twice.
            TelemetryConfigValidationError: A flow, or a channel of it, is no valid one.
        """
        layouts: dict[str, FlowLayout] = {}
        for flow in flows:
            check_flow(flow)
            if flow.name in layouts:
                raise IngestionValidationError(f"flow '{flow.name}' is there twice. Rename one.")
            layouts[flow.name] = layout_of(flow)
        try:
            self._create_flows(ingestion_config_id, flows)
        except grpc.RpcError as error:
            if not _exists(error):
                raise
            return self._ensure_flows(ingestion_config_id, flows)
        return layouts

    def _ensure_flows(
        self, ingestion_config_id: str, flows: Sequence[FlowConfig]
    ) -> dict[str, FlowLayout]:
        for attempt in range(1, CREATE_ATTEMPTS_MAX + 1):
            layouts, missing = reconcile(flows, self._list_flows(ingestion_config_id))
            if not missing:
                break
            try:
                self._create_flows(ingestion_config_id, missing)
                break
            except grpc.RpcError as error:
                if not _exists(error) or attempt == CREATE_ATTEMPTS_MAX:
                    raise
        return layouts

    def _find(self, client_key: str) -> IngestionConfig | None:
        request = ListIngestionConfigsRequest(
            filter=equals_filter("client_key", client_key), page_size=1
        )
        response = self._call(self._stub.ListIngestionConfigs, request)
        return response.ingestion_configs[0] if response.ingestion_configs else None

    def _create(self, config: TelemetryConfig) -> IngestionConfig:
        request = CreateIngestionConfigRequest(
            asset_name=config.asset_name,
            client_key=config.ingestion_client_key,
            organization_id=config.organization_id or "",
            flows=[flow.as_pb(FlowConfigPb) for flow in config.flows],
        )
        response = self._call(self._stub.CreateIngestionConfig, request)
        return response.ingestion_config

    def _list_flows(self, ingestion_config_id: str) -> list[FlowConfigPb]:
        flows: list[FlowConfigPb] = []
        page_token = ""
        while True:
            request = ListIngestionConfigFlowsRequest(
                ingestion_config_id=ingestion_config_id,
                page_size=FLOWS_PAGE_SIZE,
                page_token=page_token,
            )
            response = self._call(self._stub.ListIngestionConfigFlows, request)
            flows.extend(response.flows)
            page_token = response.next_page_token
            if not page_token:
                return flows

    def _create_flows(self, ingestion_config_id: str, flows: Sequence[FlowConfig]) -> None:
        request = CreateIngestionConfigFlowsRequest(
            ingestion_config_id=ingestion_config_id,
            flows=[flow.as_pb(FlowConfigPb) for flow in flows],
        )
        self._call(self._stub.CreateIngestionConfigFlows, request)

    def _check_asset(self, found: IngestionConfig, config: TelemetryConfig) -> None:
        request = GetAssetRequest(asset_id=found.asset_id)
        try:
            response = self._call(self._assets.GetAsset, request)
        except grpc.RpcError as error:
            # A key that may ingest but not read assets must not stop ingestion.
            if error.code() in _CANNOT_TELL:
                return
            raise
        if response.asset.name != config.asset_name:
            raise IngestionValidationError(
                f"the ingestion_client_key '{config.ingestion_client_key}' belongs to the asset"
                f" '{response.asset.name}', not to '{config.asset_name}'. A client key has one"
                " asset: use a new ingestion_client_key."
            )


def _exists(error: grpc.RpcError) -> bool:
    return error.code() in _EXISTS
