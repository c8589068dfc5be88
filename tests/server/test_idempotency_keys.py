"""A batch that was acknowledged is not taken again when it comes again under its key.

What shows it: the second time other rows are sent under the key, and they are not there.
"""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from typing import TYPE_CHECKING

import grpc
import pytest

from sift_server.ingest.acknowledged import (
    KEYS_PER_RECORD_MAX,
    AcknowledgedKeys,
    read_payload,
    record_payload,
)
from sift_server.server import Server, ServerSettings
from support.serving import plain_channel, serving
from support.telemetry import Type, find_or_create_config, ingest, read_points

if TYPE_CHECKING:
    from pathlib import Path

T0 = 1_700_000_000_000_000_000
FLOWS = {"readings": {"x": Type.CHANNEL_DATA_TYPE_DOUBLE}}
MANY = 40_000
"""Rows of more than the server takes in one go."""


def keyed(key: str) -> dict:
    return {"metadata": [("sift-idempotency-key", key)], "timeout": 60}


class Rig:
    """An asset on a server."""

    def __init__(self, address: str, api_key: str, running: ExitStack) -> None:
        self.channel = running.enter_context(plain_channel(address, api_key))
        self.config = find_or_create_config(self.channel, FLOWS, "rig")

    def send(self, numbers, key, **options) -> None:
        rows = (self.config.row("readings", T0 + n, [float(n)], **options) for n in numbers)
        ingest(self.channel, rows, **keyed(key))

    def read(self) -> list[float]:
        return [value for _, value in read_points(self.channel, self.config.asset_id, "x")]


@pytest.fixture
def key() -> str:
    return str(uuid.uuid4())


@pytest.fixture
def rig(tmp_path: Path):
    with ExitStack() as running:
        server = running.enter_context(Server(ServerSettings(tmp_path / "data", port=0)))
        yield Rig(server.address, server.api_key, running)


@pytest.mark.parametrize("count", [1, MANY])
def test_a_batch_is_taken_once(rig, key, count):
    """It is answered OK each time, whether it is one record of the log or many."""
    rig.send(range(count), key)
    rig.send([-1], key)
    rig.send(range(-MANY, -1), key)
    assert rig.read() == list(range(count))
    rig.send([-1], str(uuid.uuid4()))
    assert rig.read()[0] == -1


def test_streams_without_a_key_are_taken_each_time(rig):
    """As those of published clients."""
    for number in (1, 2):
        ingest(rig.channel, [rig.config.row("readings", T0 + number, [float(number)])])
    assert rig.read() == [1, 2]


@pytest.mark.parametrize("count", [1, MANY])
def test_a_key_outlives_kills_and_stops(tmp_path: Path, key, count):
    """It is in the log with its batch; a long one's goes with the next record."""
    for stop in ("kill", "stop", "kill"):
        with ExitStack() as running:
            server = running.enter_context(serving(tmp_path / "data"))
            rig = Rig(server.address, server.api_key, running)
            rig.send(range(count), key)
            rig.send([-1], key)
            rig.send([MANY], str(uuid.uuid4()))
            assert rig.read() == [*range(count), MANY]
            running.pop_all().close() if stop == "kill" else server.stop()


def test_a_batch_that_was_refused_is_no_taken_one(rig, key):
    """The client corrects it, and may use the key again."""
    good = rig.config.row("readings", T0, [0.0])
    bad = rig.config.row("readings", T0 + 1, [1.0], end_stream=True)
    bad.channel_values[0].string = "text"
    with pytest.raises(grpc.RpcError) as error:
        ingest(rig.channel, [good, bad], **keyed(key))
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    rig.send([1, 2], key)
    assert rig.read() == [0, 1, 2]


def test_a_stream_that_was_cut_off_is_no_taken_one(rig, key):
    """What of it had come is there; the retry brings the rest."""

    def cut():
        yield rig.config.row("readings", T0, [0.0])
        raise ZeroDivisionError

    with pytest.raises(grpc.RpcError):
        ingest(rig.channel, cut(), **keyed(key))
    rig.send([0, 1], key)
    assert rig.read() == [0, 1]


@pytest.mark.parametrize("text", ["", "batch 1", "0" * 31])
def test_a_key_is_a_uuid(rig, text):
    """Anything else would repeat some day, and then lose a batch."""
    with pytest.raises(grpc.RpcError) as error:
        rig.send([0], text)
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "'sift-idempotency-key' must be a UUID" in error.value.details()
    assert rig.read() == []


class TestKeys:
    """What is remembered, and how."""

    def test_the_oldest_are_forgotten(self, tmp_path: Path):
        """Also over a file."""
        keys = AcknowledgedKeys.open(tmp_path / "keys", keys_max=3)
        named = [bytes([n]) * 16 for n in range(5)]
        for each in named:
            keys.add_riding(each)
        assert [each in keys for each in named] == [False, False, True, True, True]
        assert keys.take_riding() == named[2:]
        assert keys.take_riding() == []
        keys.persist()
        again = AcknowledgedKeys.open(tmp_path / "keys", keys_max=2)
        assert [each in again for each in named] == [False, False, False, True, True]

    @pytest.mark.parametrize("damage", [b"", b"x", b"SIFTKEY1", b"SIFTKEY1" + b"k" * 20])
    def test_a_damaged_file_says_nothing(self, tmp_path: Path, damage, caplog):
        """The server starts all the same."""
        (tmp_path / "keys").write_bytes(damage)
        keys = AcknowledgedKeys.open(tmp_path / "keys")
        assert b"k" * 16 not in keys
        assert "can't be read" in caplog.text

    def test_a_file_that_cannot_be_written_stops_nothing(self, tmp_path: Path, caplog):
        """Keys save work; data must not wait for them."""
        keys = AcknowledgedKeys(tmp_path / "missing" / "keys")
        keys.add([b"k" * 16])
        keys.persist()
        assert "can't be written" in caplog.text

    @pytest.mark.parametrize("count", [0, 1, KEYS_PER_RECORD_MAX])
    def test_records_carry_keys(self, count):
        """Without keys they are what they always were."""
        frames = b"\0\0\0\0\1x"
        keys = [bytes([n]) * 16 for n in range(count)]
        payload = record_payload(frames, keys)
        assert (payload == frames) == (not keys)
        assert read_payload(payload) == (frames, keys)
