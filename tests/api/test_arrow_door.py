"""The Arrow door: questions in JSON, answers as Arrow streams."""

from __future__ import annotations

import io
import json
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np
import pyarrow as pa
import pytest

from sift_server.api.app import build_app
from sift_server.api.arrow import ArrowStream, Questions
from sift_server.api.arrow import door as door_module
from sift_server.api.http_server import HttpServer
from sift_server.api.key_ring import KeyRing
from sift_server.errors import NotFoundError

SCHEMA = pa.schema([("n", pa.int64())])


def batches(count: int, rows: int = 10):
    for number in range(count):
        yield pa.record_batch([pa.array(np.full(rows, number))], schema=SCHEMA)


def numbers(asked):
    for each in asked["streams"]:
        yield ArrowStream(SCHEMA, batches(each))


def breaks(asked):
    def broken():
        yield from batches(1, 100_000)
        raise NotFoundError("the file of that is gone") if asked["told"] else ValueError("secret")

    yield ArrowStream(SCHEMA, broken())


def refuses(asked):
    raise NotFoundError("there is no such thing")
    yield


def fails(asked):
    raise ValueError("secret")
    yield


def large(asked):
    yield ArrowStream(SCHEMA, batches(asked["batches"], asked["rows"]))


ended = threading.Event()


def endless(asked):
    def forever():
        try:
            while True:
                yield from batches(1, 100_000)
        finally:
            ended.set()

    yield ArrowStream(SCHEMA, forever())


@pytest.fixture(scope="module")
def door():
    """A server with those questions."""
    with ThreadPoolExecutor(4) as threads:
        by_name = {
            each.__name__: each for each in (numbers, breaks, refuses, fails, endless, large)
        }
        app = build_app(
            [], threads, KeyRing("the key"), None, None, lambda: True, Questions(threads, by_name)
        )
        server = HttpServer(app, "127.0.0.1", 0)
        server.start()

        yield Door(f"http://127.0.0.1:{server.port}/arrow/v1/")
        server.stop()


class Door:
    """A caller with the key."""

    def __init__(self, url):
        self._url = url

    def open(self, name, question, key="the key"):
        body = question if isinstance(question, bytes) else json.dumps(question).encode()
        headers = {"authorization": f"Bearer {key}"}
        request = urllib.request.Request(f"{self._url}{name}", body, headers, method="POST")
        return urllib.request.urlopen(request, timeout=30)

    def __call__(self, name, question, key="the key"):
        """The status and the body of an answer."""
        try:
            with self.open(name, question, key) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()


def streams(body: bytes) -> list[pa.Table]:
    file, found = io.BytesIO(body), []
    while file.tell() < len(body):
        found.append(pa.ipc.open_stream(file).read_all())
    return found


def test_streams_come_one_behind_the_other(door):
    status, body = door("numbers", {"streams": [2, 0, 3]})
    assert status == 200
    assert [table.num_rows for table in streams(body)] == [20, 0, 30]


def test_nothing_is_an_answer_without_streams(door):
    assert door("numbers", {"streams": []}) == (200, b"")


def test_a_refusal_is_the_status_of_the_answer(door):
    status, body = door("refuses", {})
    assert status == 404
    assert json.loads(body)["message"] == "there is no such thing"


def test_what_breaks_in_the_middle_says_so_in_the_last_stream(door):
    status, body = door("breaks", {"told": True})
    *_, last = streams(body)
    assert status == 200
    said = json.loads(last.schema.metadata[b"sift.error"])
    assert said == {"code": 5, "message": "the file of that is gone"}


def test_errors_of_the_server_itself_are_not_told(door):
    _, body = door("breaks", {"told": False})
    *_, last = streams(body)
    assert json.loads(last.schema.metadata[b"sift.error"])["code"] == 13
    status, refused = door("fails", {})
    assert status == 500
    assert b"secret" not in body + refused


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_refused(door, body):
    status, said = door("numbers", body)
    assert (status, json.loads(said)["code"]) == (400, 3)


def test_a_question_that_there_is_not_lists_the_others(door):
    status, said = door("nothing", {})
    assert status == 501
    assert "POST /arrow/v1/numbers" in json.loads(said)["message"]


def test_a_key_is_needed(door):
    status, said = door("numbers", {"streams": [1]}, key="another")
    assert (status, json.loads(said)["code"]) == (401, 16)


def test_too_many_answers_at_a_time_are_told_to_wait(door, monkeypatch):
    monkeypatch.setattr(door_module, "ANSWERS_MAX", 0)
    status, said = door("numbers", {"streams": [1]})
    assert (status, json.loads(said)["code"]) == (429, 8)


def test_an_answer_that_nobody_reads_is_not_made(door):
    """A caller that goes away in the middle ends the question."""
    with door.open("endless", {}) as answer:
        answer.read(1_000_000)
    ended.wait(30)
    assert ended.is_set()


def test_large_batches_are_cut(door):
    """And nothing of them is lost."""
    _, body = door("large", {"batches": 2, "rows": 200_001})
    (table,) = streams(body)
    assert table["n"].to_pylist() == [0] * 200_001 + [1] * 200_001
    assert max(len(chunk) for chunk in table["n"].chunks) * 8 <= door_module.BATCH_BYTES + 8


def test_callers_who_do_not_read_yet_lose_nothing(door):
    """Of as many as there may be, what waits is less than what answers may have wait."""
    n_bytes = 16_000_000
    with ExitStack() as opened:
        answers = [
            opened.enter_context(door.open("large", {"batches": 1, "rows": n_bytes // 8}))
            for _ in range(24)
        ]
        time.sleep(1)
        for answer in answers:
            assert len(answer.read()) > n_bytes


def test_so_many_answers_at_a_time_are_given_and_no_more(door):
    """Whatever the order in which questions come in."""

    def status(_):
        try:
            with door.open("large", {"batches": 1, "rows": 1_000_000}) as answer:
                time.sleep(2)
                return answer.status
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    with ThreadPoolExecutor(100) as callers:
        found = list(callers.map(status, range(100)))
    assert set(found) == {200, 429}
    assert found.count(200) >= door_module.ANSWERS_MAX
    assert door("numbers", {"streams": [1]})[0] == 200
