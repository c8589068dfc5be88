"""The way from frames to durable rows, over real rooms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataStreamRequest as Request
from sift_server.errors import NotFoundError
from sift_server.ingest import FlowDirectory, Ingestor, PendingRejects
from sift_server.lake import PointStore
from sift_server.log import FileLog
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


@pytest.fixture
def ingestor(tmp_path: Path, catalog: _Catalog):
    store = PointStore.open(tmp_path / "lake")
    log = FileLog.open(tmp_path / "log")
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
