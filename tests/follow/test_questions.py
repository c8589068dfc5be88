"""What is asked of `POST /arrow/v1/follow`, and who asks."""

from __future__ import annotations

import io
import json
import time
import urllib.error
import urllib.request

import h2.events
import pyarrow as pa
import pytest

from sift_py.data import read_channels
from sift_server.api.arrow import follow as follow_module
from sift_server.api.key_ring import KEY_LOOK_INTERVAL_MS
from sift_server.catalog import Catalog, Scope
from sift_server.data_dir import catalog_path
from support.http2_client import Client

PATH = "/arrow/v1/follow"


class Caller:
    """Asks by HTTP, with a key."""

    def __init__(self, server, key=None):
        self._url = f"http://{server.address}{PATH}"
        self._headers = {"authorization": f"Bearer {key or server.api_key}"}

    def open(self, question):
        body = question if isinstance(question, bytes) else json.dumps(question).encode()
        request = urllib.request.Request(self._url, body, self._headers, method="POST")
        return urllib.request.urlopen(request, timeout=20)

    def refusal(self, question):
        with pytest.raises(urllib.error.HTTPError) as caught:
            self.open(question)
        with caught.value as error:
            return error.code, json.loads(error.read())["message"]


def next_stream(answer):
    return pa.ipc.open_stream(answer).read_all()


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (b"{", "not JSON"),
        ([], "a JSON object"),
        ({}, "either asset_id or channel_ids"),
        ({"asset_id": "a", "channel_ids": ["b"]}, "either asset_id or channel_ids"),
        ({"asset_id": 5}, "asset_id is a string, not 5"),
        ({"asset_id": "a", "channels": "b"}, "channels is a list of strings"),
        ({"asset_id": "a", "channels": [1]}, "channels is a list of strings"),
        ({"asset_id": "a", "channels": []}, "from 1 to FOLLOWED_NAMES_MAX"),
        ({"asset_id": "a", "channels": ["b"] * 10_001}, "from 1 to FOLLOWED_NAMES_MAX = 10,000"),
        ({"channel_ids": ["b"], "channels": ["b"]}, "name asset_id, too"),
        ({"asset_id": "a", "run_id": 1}, "run_id is a string"),
        ({"asset_id": "a", "from_ns": "1"}, "whole nanoseconds"),
        ({"asset_id": "a", "from_ns": True}, "whole nanoseconds"),
        ({"asset_id": "a", "from_ns": 1.5}, "whole nanoseconds"),
        ({"asset_id": "a", "from_ns": 2**63}, "whole nanoseconds"),
        ({"asset_id": "a", "marks": []}, "marks is an object"),
        ({"asset_id": "a", "marks": {"": 1}}, "marks is an object"),
        ({"asset_id": "a", "marks": {"": {"b": None}}}, "whole nanoseconds"),
        ({"asset_id": "a", "asset": "b"}, "'asset' is none of"),
    ],
)
def test_what_is_no_question_is_refused(bench, question, message):
    status, said = Caller(bench.server).refusal(question)
    assert (status, message in said) == (400, True), said


@pytest.mark.parametrize(
    "question",
    [
        {"asset_id": "none"},
        {"asset_id": "ASSET", "run_id": "none"},
        {"channel_ids": ["none"]},
    ],
)
def test_what_there_is_not_is_not_found(bench, question):
    if question.get("asset_id") == "ASSET":
        question = {**question, "asset_id": bench.asset_id}
    assert Caller(bench.server).refusal(question)[0] == 404


def test_channels_are_followed_by_their_ids(bench):
    bench.send(0, 1)
    channel_id = read_channels("rig", "b.y", source=bench.channel)["b.y"].channel_id
    with Caller(bench.server).open({"channel_ids": [channel_id]}) as answer:
        assert b"sift.beat" in next_stream(answer).schema.metadata
        bench.send(1, 1)
        reader = pa.ipc.open_stream(answer)
        assert reader.read_next_batch().to_pydict()["b.y"] == [1.0]


@pytest.fixture
def api_keys(bench):
    """The keys of the server, as another process has them."""
    with Catalog.open(catalog_path(bench.folder)) as catalog:
        yield catalog.api_keys


def test_a_key_that_may_not_read_is_refused(bench, api_keys):
    _, key = api_keys.create("writer", [Scope.WRITE])
    time.sleep(2 * KEY_LOOK_INTERVAL_MS / 1_000)
    status, said = Caller(bench.server, key).refusal({"asset_id": "a"})
    assert (status, "scope read" in said) == (403, True)


def test_a_key_that_ends_ends_what_is_followed(bench, api_keys):
    known, key = api_keys.create("reader", [Scope.READ])
    time.sleep(2 * KEY_LOOK_INTERVAL_MS / 1_000)
    with Caller(bench.server, key).open({"asset_id": bench.asset_id}) as answer:
        next_stream(answer)
        api_keys.revoke(known.key_id)
        last = next_stream(answer)
        assert answer.read() == b""
    assert json.loads(last.schema.metadata[b"sift.error"])["code"] == 16


def test_while_nothing_comes_there_are_beats(bench, monkeypatch):
    monkeypatch.setattr(follow_module, "BEAT_MS", 100)
    with Caller(bench.server).open({"asset_id": bench.asset_id}) as answer:
        began_s = time.monotonic()
        for _ in range(4):
            assert b"sift.beat" in next_stream(answer).schema.metadata
        assert time.monotonic() - began_s < 10


def test_it_is_followed_over_http_2_too(bench):
    client = Client(bench.server.address, bench.server.api_key)
    question = json.dumps({"asset_id": bench.asset_id, "channels": ["a"]}).encode()
    call = client.call(PATH, question, **{"content-type": "application/json"})
    client.until(h2.events.DataReceived, call)
    bench.send(0, 3)
    client.until(h2.events.DataReceived, call)
    body = io.BytesIO(client.bodies[call])
    client.socket.close()
    next_stream(body)
    assert pa.ipc.open_stream(body).read_next_batch().to_pydict()["a"] == [0.0, 1.0, 2.0]
