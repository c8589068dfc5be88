"""The way from frames to durable rows, over real rooms."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataStreamRequest as Request
from sift_server.errors import NotFoundError
from sift_server.ingest import FlowDirectory, Ingestor, PendingRejects
from sift_server.lake import PointStore
from sift_server.log import FileLog, LogFailedError, LogFullError, LogRecord
from sift_server.log.files import Disk
from sift_wire.decode import NotAtOnceError
from sift_wire.frames import Frames

if TYPE_CHECKING:
    from pathlib import Path

MESSAGES = 5_000


class _Catalog:
    """Knows no flow, and counts how often it is asked."""

    def __init__(self) -> None:
        self.questions = 0
        self.entries = []

    def find(self, ingestion_config_id: str, flow_name: str):
        self.questions += 1
        raise NotFoundError(f"no flow {flow_name!r} in {ingestion_config_id!r}")


@pytest.fixture
def catalog() -> _Catalog:
    return _Catalog()


class _Disk(Disk):
    """Syncs when it is told to, or fails."""

    def __init__(self) -> None:
        self.syncs = threading.Event()
        self.syncs.set()
        self.fails = False

    def sync(self, descriptor: int) -> None:
        assert self.syncs.wait(30)
        super().sync(descriptor)

    def free_bytes(self, folder: Path) -> int:
        return 0 if self.fails else super().free_bytes(folder)


@pytest.fixture
def disk() -> _Disk:
    return _Disk()


@pytest.fixture
def ingestor(tmp_path: Path, catalog: _Catalog, disk: _Disk):
    store = PointStore.open(tmp_path / "lake")
    log = FileLog.open(tmp_path / "log", disk=disk)
    rejects = PendingRejects(catalog.entries.extend)
    flows = FlowDirectory(catalog.find)
    yield Ingestor(log, flows, store, rejects, lambda: 0), rejects
    log.close()
    store.close()


def unknown(count: int) -> Frames:
    message = Request(ingestion_config_id="config", flow="typo").SerializeToString()
    return Frames.from_messages([message] * count)


def test_an_unknown_flow_is_asked_for_once(ingestor, catalog):
    """However many messages name it; each is kept with its reason."""
    ingestor, rejects = ingestor
    ingestor.take(unknown(MESSAGES)).durable.result(30)
    rejects.persist()
    assert catalog.questions == 1
    assert len(catalog.entries) == MESSAGES
    assert {entry.reason for entry in catalog.entries} == {"no flow 'typo' in 'config'"}


def test_an_unknown_flow_may_be_created_at_any_moment(ingestor, catalog):
    """So the next frames ask again."""
    ingestor, _ = ingestor
    ingestor.take(unknown(1))
    ingestor.take(unknown(1))
    assert catalog.questions == 2


def test_what_is_taken_at_once_asks_nobody(ingestor, catalog):
    """The caller is an event loop."""
    ingestor, rejects = ingestor
    with pytest.raises(NotAtOnceError):
        ingestor.take(unknown(1), at_once=True)
    rejects.persist()
    assert not catalog.questions
    assert not catalog.entries


def test_a_server_that_stops_waits_for_no_room(ingestor, monkeypatch: pytest.MonkeyPatch):
    """If flushes fail for another reason than a full disk, there will never be any."""
    ingestor, _ = ingestor
    is_waiting = threading.Event()

    def no_room(_store: PointStore, _timeout_s: float) -> bool:
        is_waiting.set()
        return False

    monkeypatch.setattr(PointStore, "wait_for_room", no_room)
    with ThreadPoolExecutor() as threads:
        taken = threads.submit(ingestor.take, unknown(1))
        assert is_waiting.wait(30)
        ingestor.stop()
        with pytest.raises(LogFailedError, match="the server stops"):
            taken.result(30)


class TestMoreThanIsDecodedAtATime:
    """A stream of nothing but messages that do not fit takes time, not memory."""

    @pytest.fixture(autouse=True)
    def _three_misfits(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr("sift_wire.decode.MISFITS_MAX", 3)

    def test_the_rest_is_for_another_call(self, ingestor, catalog):
        """Each part is a record; all of them are kept, in order."""
        ingestor, rejects = ingestor
        rest, positions = unknown(7), []
        while rest is not None:
            taken = ingestor.take(rest)
            positions.append(taken.durable.result(30))
            rest = taken.rest
        rejects.persist()
        found = [(entry.position, entry.index) for entry in catalog.entries]
        assert found == [(positions[n // 3], n % 3) for n in range(7)]

    def test_the_rest_waits_for_room_in_the_error_queue(self, ingestor, catalog, monkeypatch):
        """So that no more is in memory than is allowed to be."""
        monkeypatch.setattr("sift_server.ingest.rejects.REJECTS_PENDING_BYTES_MAX", 1)
        ingestor, rejects = ingestor
        first = ingestor.take(unknown(4))
        first.durable.result(30)
        with ThreadPoolExecutor(1) as threads:
            second = threads.submit(ingestor.take, first.rest)
            with pytest.raises(TimeoutError):
                second.result(0.2)
            assert not catalog.entries
            rejects.persist()
            second.result(30).durable.result(30)
        rejects.persist()
        assert len(catalog.entries) == 4

    def test_what_is_on_its_way_to_the_disk_needs_room_as_well(
        self, ingestor, catalog, disk, monkeypatch
    ):
        """A slow disk would let any number of them be in memory."""
        monkeypatch.setattr("sift_server.ingest.rejects.REJECTS_PENDING_BYTES_MAX", 1)
        ingestor, rejects = ingestor
        disk.syncs.clear()
        first = ingestor.take(unknown(4))
        with ThreadPoolExecutor(1) as threads:
            second = threads.submit(ingestor.take, first.rest)
            with pytest.raises(TimeoutError):
                second.result(0.2)
            disk.syncs.set()
            first.durable.result(30)
            rejects.persist()
            second.result(30).durable.result(30)
        rejects.persist()
        assert len(catalog.entries) == 4
        assert rejects.wait_for_room(30)

    def test_what_the_log_did_not_take_needs_no_room(self, ingestor, disk, monkeypatch):
        """It was refused, so nobody keeps it."""
        monkeypatch.setattr("sift_server.ingest.rejects.REJECTS_PENDING_BYTES_MAX", 1)
        ingestor, rejects = ingestor
        disk.fails = True
        with pytest.raises(LogFullError):
            ingestor.take(unknown(3)).durable.result(30)
        assert rejects.wait_for_room(30)

    def test_a_key_is_no_part_s(self, ingestor):
        """It would say that all of the batch is durable."""
        ingestor, _ = ingestor
        key = b"k" * 16
        taken = ingestor.take(unknown(4), keys=[key])
        taken.durable.result(30)
        assert taken.rest is not None
        assert key not in ingestor.keys

    def test_a_record_that_has_more_is_replayed_in_parts(self, ingestor, catalog):
        """Versions before wrote such; none of its messages is lost."""
        ingestor, rejects = ingestor
        ingestor.replay([LogRecord(8, unknown(7).payload())])
        rejects.persist()
        assert [(each.position, each.index) for each in catalog.entries] == [
            (8, n) for n in range(7)
        ]
