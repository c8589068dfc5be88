"""A plain gRPC server that plays the control plane from memory and records every call.

It is strict where a server of the protocol is (a client key and a flow name exist once) and
deterministic elsewhere, so that two clients which make the same calls leave equal recordings.
"""
# ruff: noqa: N802 - methods are named as in the protocol

from __future__ import annotations

import contextlib
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import grpc
from google.rpc import error_details_pb2, status_pb2

from sift.assets.v1 import assets_pb2, assets_pb2_grpc
from sift.ingest.v1 import ingest_pb2, ingest_pb2_grpc
from sift.ingestion_configs.v1 import ingestion_configs_pb2, ingestion_configs_pb2_grpc
from sift.ping.v1 import ping_pb2, ping_pb2_grpc
from sift.rules.v1 import rules_pb2, rules_pb2_grpc
from sift.runs.v2 import runs_pb2, runs_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from google.protobuf.message import Message

DETAILS_KEY = "grpc-status-details-bin"
API_KEY = "recording-server-key"
THREADS = 32
WAIT_S = 30


@dataclass(frozen=True)
class Call:
    """One call as it arrived; `requests` has one message, or those of a client stream."""

    method: str
    metadata: dict[str, str]
    requests: tuple[Message, ...]

    @property
    def request(self) -> Any:
        (request,) = self.requests
        return request


@dataclass
class _Failure:
    code: grpc.StatusCode
    details: str
    times: int
    retry_after_ms: int | None


@dataclass
class Config:
    """An ingestion config on the server."""

    message: ingestion_configs_pb2.IngestionConfig
    flows: list[ingestion_configs_pb2.FlowConfig] = field(default_factory=list)


class RecordingServer:
    """Listens on a free loopback port while in a with-block.

    Attributes:
        address: `HOST:PORT`, plaintext.
        calls: Every call that ended its requests, in that order. Failed ones too.
        configs: Ingestion configs by client key.
        asset_names: Names of assets by id.
        rules: The JSON rules of an asset, by its id.
        runs: Names of runs by id.
        refusal: What `UpdateJsonRules` answers as its reason; None for success.
        before_reply: Called with the method's name before a reply.
    """

    def __init__(self, credentials: grpc.ServerCredentials | None = None) -> None:
        self._lock = threading.RLock()
        self._pool = ThreadPoolExecutor(THREADS)
        self._server = grpc.server(
            self._pool,
            # What published clients send; gRPC's own default calls it abuse.
            options=[
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.so_reuseport", 0),
            ],
        )
        for add in (
            assets_pb2_grpc.add_AssetServiceServicer_to_server,
            ingest_pb2_grpc.add_IngestServiceServicer_to_server,
            ingestion_configs_pb2_grpc.add_IngestionConfigServiceServicer_to_server,
            ping_pb2_grpc.add_PingServiceServicer_to_server,
            rules_pb2_grpc.add_RuleServiceServicer_to_server,
            runs_pb2_grpc.add_RunServiceServicer_to_server,
        ):
            add(_Servicer(self), self._server)
        if credentials is None:
            port = self._server.add_insecure_port("127.0.0.1:0")
        else:
            port = self._server.add_secure_port("127.0.0.1:0", credentials)
        self.address = f"127.0.0.1:{port}"
        self.reset()

    def reset(self) -> None:
        """Forget everything; ids start again."""
        self.calls: list[Call] = []
        self.configs: dict[str, Config] = {}
        self.asset_names: dict[str, str] = {}
        self.rules: dict[str, str] = {}
        self.runs: dict[str, str] = {}
        self.refusal: str | None = None
        self.flows_page_size_max = 1000
        self.before_reply: Callable[[str], None] = lambda _: None
        self._failures: dict[str, _Failure] = {}
        self._arrived = threading.Condition()

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait(WAIT_S)
        self._pool.shutdown()

    def fail(
        self,
        method: str,
        code: grpc.StatusCode,
        details: str = "scripted",
        times: int = 1,
        retry_after_ms: int | None = None,
    ) -> None:
        """Let the next `times` calls of a method end with a status, and with a RetryInfo."""
        self._failures[method] = _Failure(code, details, times, retry_after_ms)

    def heal(self, method: str) -> None:
        """Let a method succeed again."""
        self._failures.pop(method, None)

    def calls_of(self, method: str) -> list[Call]:
        return [call for call in self.calls if call.method == method]

    @property
    def methods(self) -> list[str]:
        """Names of all calls, in order."""
        return [call.method for call in self.calls]

    @property
    def streams(self) -> list[list[ingest_pb2.IngestWithConfigDataStreamRequest]]:
        """The messages of every ingest stream."""
        return [list(call.requests) for call in self.calls_of("IngestWithConfigDataStream")]

    @property
    def rows(self) -> list[ingest_pb2.IngestWithConfigDataStreamRequest]:
        """The messages of all ingest streams, one behind the other."""
        return [request for stream in self.streams for request in stream]

    def wait_for_calls(self, method: str, count: int) -> None:
        """Wait until a method was called `count` times."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.calls_of(method)) >= count, WAIT_S)

    def add_config(
        self,
        client_key: str,
        asset_name: str,
        *flows: ingestion_configs_pb2.FlowConfig,
    ) -> Config:
        """Create an ingestion config on the server's side."""
        with self._lock:
            asset_id = self._asset_id(asset_name)
            message = ingestion_configs_pb2.IngestionConfig(
                ingestion_config_id=f"config-{len(self.configs) + 1}",
                asset_id=asset_id,
                client_key=client_key,
            )
            self.configs[client_key] = Config(message, list(flows))
            return self.configs[client_key]

    def _asset_id(self, asset_name: str) -> str:
        for asset_id, name in self.asset_names.items():
            if name == asset_name:
                return asset_id
        asset_id = f"asset-{len(self.asset_names) + 1}"
        self.asset_names[asset_id] = asset_name
        return asset_id

    def config_of_id(self, ingestion_config_id: str) -> Config:
        for config in self.configs.values():
            if config.message.ingestion_config_id == ingestion_config_id:
                return config
        raise AssertionError(f"no ingestion config {ingestion_config_id!r}")

    @contextlib.contextmanager
    def answering(
        self, method: str, requests: tuple[Message, ...], context: grpc.ServicerContext
    ) -> Iterator[None]:
        """Record a call, fail it if that was asked for, and hold the state for its reply."""
        metadata = dict(context.invocation_metadata())
        with self._arrived:
            self.calls.append(Call(method, metadata, requests))
            failure = self._failures.get(method)
            if failure is not None:
                failure.times -= 1
                if failure.times <= 0:
                    del self._failures[method]
            self._arrived.notify_all()
        self.before_reply(method)
        if metadata.get("authorization") != f"Bearer {API_KEY}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "wrong API key")
        if failure is not None:
            if failure.retry_after_ms is not None:
                details = retry_details(failure.code, failure.retry_after_ms)
                context.set_trailing_metadata(((DETAILS_KEY, details),))
            context.abort(failure.code, failure.details)
        with self._lock:
            yield


def retry_details(code: grpc.StatusCode, retry_after_ms: int) -> bytes:
    """The details of a status that asks the client to wait."""
    info = error_details_pb2.RetryInfo()
    info.retry_delay.FromMilliseconds(retry_after_ms)
    status = status_pb2.Status(code=code.value[0])
    status.details.add().Pack(info)
    return status.SerializeToString()


class _Servicer:
    """All services in one object; unimplemented methods answer so through `__getattr__`."""

    def __init__(self, state: RecordingServer) -> None:
        self._state = state

    def __getattr__(self, method: str) -> Callable[[Any, grpc.ServicerContext], None]:
        def unimplemented(_: Any, context: grpc.ServicerContext) -> None:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, method)

        return unimplemented

    def Ping(self, request, context):
        with self._state.answering("Ping", (request,), context):
            return ping_pb2.PingResponse(response="pong")

    def ListIngestionConfigs(self, request, context):
        state = self._state
        with state.answering("ListIngestionConfigs", (request,), context):
            key = _quoted("client_key", request.filter)
            found = [state.configs[key].message] if key in state.configs else []
            return ingestion_configs_pb2.ListIngestionConfigsResponse(ingestion_configs=found)

    def CreateIngestionConfig(self, request, context):
        state = self._state
        with state.answering("CreateIngestionConfig", (request,), context):
            if request.client_key in state.configs:
                context.abort(grpc.StatusCode.ALREADY_EXISTS, "client key exists")
            config = state.add_config(request.client_key, request.asset_name, *request.flows)
            return ingestion_configs_pb2.CreateIngestionConfigResponse(
                ingestion_config=config.message
            )

    def ListIngestionConfigFlows(self, request, context):
        state = self._state
        with state.answering("ListIngestionConfigFlows", (request,), context):
            flows = state.config_of_id(request.ingestion_config_id).flows
            start = int(request.page_token or 0)
            end = start + min(request.page_size, state.flows_page_size_max)
            return ingestion_configs_pb2.ListIngestionConfigFlowsResponse(
                flows=flows[start:end], next_page_token=str(end) if end < len(flows) else ""
            )

    def CreateIngestionConfigFlows(self, request, context):
        state = self._state
        with state.answering("CreateIngestionConfigFlows", (request,), context):
            config = state.config_of_id(request.ingestion_config_id)
            for flow in request.flows:
                if flow.name in {each.name for each in config.flows}:
                    context.abort(grpc.StatusCode.ALREADY_EXISTS, f"flow {flow.name} exists")
            config.flows.extend(request.flows)
            return ingestion_configs_pb2.CreateIngestionConfigFlowsResponse()

    def GetAsset(self, request, context):
        with self._state.answering("GetAsset", (request,), context):
            name = self._state.asset_names[request.asset_id]
            asset = assets_pb2.Asset(asset_id=request.asset_id, name=name)
            return assets_pb2.GetAssetResponse(asset=asset)

    def ViewJsonRules(self, request, context):
        with self._state.answering("ViewJsonRules", (request,), context):
            rules = self._state.rules.get(request.asset_id, "[]")
            return rules_pb2.ViewJsonRulesResponse(rules_json=rules)

    def UpdateJsonRules(self, request, context):
        state = self._state
        with state.answering("UpdateJsonRules", (request,), context):
            if state.refusal is not None:
                response = rules_pb2.JsonRulesResponse(success=False, error_messages=state.refusal)
            else:
                json.loads(request.request.rules_json)
                state.rules[request.request.asset_id] = request.request.rules_json
                response = rules_pb2.JsonRulesResponse(success=True)
            return rules_pb2.UpdateJsonRulesResponse(response=response)

    def ListRuns(self, request, context):
        with self._state.answering("ListRuns", (request,), context):
            name = _quoted("name", request.filter)
            found = [
                runs_pb2.Run(run_id=run_id, name=run_name)
                for run_id, run_name in self._state.runs.items()
                if run_name == name
            ]
            return runs_pb2.ListRunsResponse(runs=found[: request.page_size])

    def CreateRun(self, request, context):
        state = self._state
        with state.answering("CreateRun", (request,), context):
            run_id = f"run-{len(state.runs) + 1}"
            state.runs[run_id] = request.name
            return runs_pb2.CreateRunResponse(run=runs_pb2.Run(run_id=run_id, name=request.name))

    def IngestWithConfigDataStream(self, request_iterator, context):
        requests = tuple(request_iterator)
        with self._state.answering("IngestWithConfigDataStream", requests, context):
            return ingest_pb2.IngestWithConfigDataStreamResponse()


def _quoted(name: str, text: str) -> str:
    """The string of the filter `name=="..."`, unescaped; no other filter passes."""
    match = re.fullmatch(rf'{name}==("(?:[^"\\\n]|\\.)*")', text)
    assert match, f"unexpected filter {text!r}"
    return json.loads(match[1])
