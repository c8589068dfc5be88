"""Requests that are compressed, and what all of them may hold."""

from __future__ import annotations

import gzip
import http.client
import json
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from sift.assets.v1 import assets_pb2, assets_pb2_grpc
from sift_server.api import connect, request_bytes
from sift_server.api.key_ring import KeyRing
from support.serving import plain_channel

KEY = "the key"
PATH = "/sift.assets.v1.AssetService/ListAssets"
MIB = 1024 * 1024


def bomb(inflated_bytes: int, layers: int = 1) -> bytes:
    """Blanks that gzip makes a thousandth of, as JSON; the outermost layer is inflated."""
    data = b'{"filter": "' + b" " * inflated_bytes + b'"}'
    for _ in range(layers):
        data = gzip.compress(data)
    return data


def call(address: str, body: bytes, path: str = PATH, **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(address, timeout=30)
    sent = {"authorization": f"Bearer {KEY}", "content-type": "application/json", **headers}
    connection.request("POST", path, body, sent)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text)


def compressed(address: str, body: bytes) -> tuple[int, Any]:
    return call(address, body, **{"content-encoding": "gzip"})


def test_a_request_may_be_compressed(address: str):
    """What it inflates to is answered."""
    assert compressed(address, gzip.compress(b'{"filter": "x"}'))[0] == 200
    parts = gzip.compress(b'{"filter"') + gzip.compress(b': "x"}')
    assert compressed(address, parts)[1]["assets"][0]["name"] == "x|0"


def test_what_inflates_beyond_the_limit_is_refused_before_it_does(address: str):
    """RESOURCE_EXHAUSTED, over JSON and over gRPC; the server goes on."""
    assert len(bomb(80 * MIB)) < 100_000
    status, answer = compressed(address, bomb(80 * MIB))
    assert (status, answer["code"]) == (429, "resource_exhausted")
    with plain_channel(address, KEY) as channel:
        stub = assets_pb2_grpc.AssetServiceStub(channel)
        request = assets_pb2.ListAssetsRequest(filter=" " * (80 * MIB))
        with pytest.raises(grpc.RpcError) as caught:
            stub.ListAssets(request, compression=grpc.Compression.Gzip, timeout=30)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert stub.ListAssets(assets_pb2.ListAssetsRequest(filter="x")).assets[0].name == "x|0"


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (b"no gzip", "gzip", 400),
        (gzip.compress(b'{"filter": "x"}')[:-9], "gzip", 400),
        (gzip.compress(b'{"filter": "x"}')[:-8] + b"\0" * 8, "gzip", 400),
        (gzip.compress(b'{"filter": "x"}') + b"rest", "gzip", 400),
        (bomb(1_000, layers=2), "gzip", 400),
        (zlib.compress(b'{"filter": "x"}'), "gzip", 400),
        (zlib.compress(b'{"filter": "x"}'), "deflate", 501),
        (b"{}", "gzip, gzip", 501),
        (b"{}", "zstd", 501),
    ],
    ids=range(9),
)
def test_what_is_not_compressed_as_it_says_is_refused(
    address: str, body: bytes, encoding: str, status: int
):
    """In words; nothing fails inside."""
    found, answer = call(address, body, **{"content-encoding": encoding})
    assert found == status
    assert answer["message"]


def test_requests_that_wait_hold_no_more_than_the_limit_together(
    build: Any, assets: Any, monkeypatch: pytest.MonkeyPatch
):
    """As inflated: those beyond it are told to try again, and can when the others are answered."""
    monkeypatch.setattr(request_bytes, "REQUESTS_BYTES_MAX", 10 * MIB)
    large = bomb(3 * MIB)
    with build(KeyRing(KEY)) as address, ThreadPoolExecutor(3) as threads:
        for _ in range(2):
            assets.gate.clear()
            waiting = [threads.submit(compressed, address, large) for _ in range(3)]
            while assets.waiting < 3:
                time.sleep(0.01)
            status, answer = compressed(address, large)
            assert (status, answer["code"]) == (429, "resource_exhausted")
            assert "10485760 bytes" in answer["message"]
            plain = json.dumps({"name": "x" * 3 * MIB}).encode()
            status, answer = call(address, plain, path="/api/v2/runs")
            assert (status, answer["code"]) == (429, 8)
            assert compressed(address, gzip.compress(b"{}"))[0] == 200
            assets.gate.set()
            assert [one.result(30)[0] for one in waiting] == [200] * 3
        assert compressed(address, large)[0] == 200


def test_the_limit_has_room_for_the_largest_request():
    """As it is sent and as it is inflated."""
    assert request_bytes.REQUESTS_BYTES_MAX >= 2 * connect.REQUEST_BYTES_MAX
