"""A server, a proxy that breaks the way to it, and services that spill."""

from __future__ import annotations

import contextlib
import uuid

import pytest

from sift_py.ingestion.service import IngestionService
from sift_py.testing import FaultProxy, LocalServer
from support.spilling import QUICK, config, release


@pytest.fixture(scope="module")
def server():
    with LocalServer() as running:
        yield running


@pytest.fixture
def proxy(server):
    with FaultProxy(server.address) as running:
        yield running


@pytest.fixture
def asset():
    return f"rig {uuid.uuid4()}"


@pytest.fixture
def spill_dir(tmp_path):
    return tmp_path / "spill"


@pytest.fixture
def channel(server, proxy):
    with server.channel(proxy.uri) as opened:
        yield opened


@pytest.fixture
def open_service(channel, proxy, asset, spill_dir):
    """Makes services that spill, and lets go of their folders in the end."""
    with contextlib.ExitStack() as opened:

        def open_one(**options):
            options = {"retry_policy": QUICK, "spill_dir": spill_dir, **options}
            service = IngestionService(channel, config(options.pop("asset", asset)), **options)
            opened.callback(release, service)
            return service

        yield open_one
        proxy.heal()
