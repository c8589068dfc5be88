"""The doors over small services, on a real port."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from sift.assets.v1 import assets_pb2
from sift.ping.v1 import ping_pb2
from sift.runs.v2 import runs_pb2
from sift_server import errors
from sift_server.api.app import build_app
from sift_server.api.arrow import Questions
from sift_server.api.grpc_status import GrpcCode, send_grpc_error, send_grpc_response
from sift_server.api.http_server import HttpServer
from sift_server.api.key_ring import KeyRing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from sift_server.api.asgi import ASGIApp
    from sift_server.api.auth import Keys

API_KEY = "the key"


class Ping:
    SERVICE_NAME = "sift.ping.v1.PingService"

    def ping(self, _: ping_pb2.PingRequest) -> ping_pb2.PingResponse:
        return ping_pb2.PingResponse(response="hello")


class Assets:
    """Fails in the way that the asset id names; long lists wait while `gate` is closed."""

    SERVICE_NAME = "sift.assets.v1.AssetService"

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.waiting = 0

    def get_asset(self, request: assets_pb2.GetAssetRequest) -> assets_pb2.GetAssetResponse:
        kind = getattr(errors, request.asset_id, None)
        if kind is not None:
            raise kind("what was wrong, in % and ünïcode")
        if request.asset_id.startswith("no "):
            raise errors.NotFoundError(request.asset_id)
        if request.asset_id == "broken":
            raise ZeroDivisionError
        return assets_pb2.GetAssetResponse(asset={"asset_id": request.asset_id})

    def list_assets(self, request: assets_pb2.ListAssetsRequest) -> assets_pb2.ListAssetsResponse:
        if len(request.filter) > 1_000_000 and not self.gate.is_set():
            self.waiting += 1
            self.gate.wait(30)
            self.waiting -= 1
        text = f"{request.filter}|{request.page_size}"
        return assets_pb2.ListAssetsResponse(assets=[{"name": text}])


class Runs:
    SERVICE_NAME = "sift.runs.v2.RunService"

    def create_run(self, request: runs_pb2.CreateRunRequest) -> runs_pb2.CreateRunResponse:
        return runs_pb2.CreateRunResponse(run={"name": request.name, "tags": request.tags})


class Ingest:
    """Counts bytes; refuses a stream after `refuse_after_bytes`; waits while `gate` is closed."""

    def __init__(self) -> None:
        self.refuse_after_bytes = 2**62
        self.words = "no more of this"
        self.gate = threading.Event()
        self.gate.set()
        self.received = 0

    async def __call__(self, scope, receive, send) -> None:
        received = 0
        while True:
            await asyncio.to_thread(self.gate.wait)
            event = await receive()
            received += len(event.get("body", b""))
            self.received = received
            if received > self.refuse_after_bytes:
                await send_grpc_error(send, GrpcCode.INVALID_ARGUMENT, self.words)
                return
            if not event.get("more_body", False):
                await send_grpc_response(send, b"")
                return


@pytest.fixture
def ingest() -> Ingest:
    return Ingest()


@pytest.fixture
def assets() -> Assets:
    return Assets()


@pytest.fixture
def ready() -> list[bool]:
    """Whether the server says that it is ready; a test may change it."""
    return [True]


@pytest.fixture
def build(
    ingest: Ingest, assets: Assets, ready: list[bool]
) -> Callable[[Keys], AbstractContextManager[str]]:
    """Serves the doors to those whom some keys let in."""

    @contextmanager
    def serving(keys: Keys) -> Iterator[str]:
        with ThreadPoolExecutor(4) as threads:
            doors = [Ping(), assets, Runs()]
            server = HttpServer(
                build_app(
                    doors, threads, keys, ingest, ingest, lambda: ready[0], Questions(threads, {})
                ),
                "127.0.0.1",
                0,
            )
            server.start()
            yield f"127.0.0.1:{server.port}"
            server.stop(grace_ms=500)

    return serving


@pytest.fixture
def app(ingest: Ingest, ready: list[bool]) -> Iterator[ASGIApp]:
    with ThreadPoolExecutor(4) as threads:
        keys = KeyRing(API_KEY)
        yield build_app(
            [Ping(), Assets(), Runs()],
            threads,
            keys,
            ingest,
            ingest,
            lambda: ready[0],
            Questions(threads, {}),
        )


@pytest.fixture
def address(build: Callable[[Keys], AbstractContextManager[str]]) -> Iterator[str]:
    with build(KeyRing(API_KEY)) as running:
        yield running
