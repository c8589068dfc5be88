"""Bytes of a spill file that are no record are never sent, and never deleted."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sift_py.errors import NotAcknowledgedError, SpillError
from sift_py.ingestion._internal.spill.lane import Lane
from sift_py.ingestion._internal.spill.records import (
    FILE_MAGIC,
    next_record,
    record_at,
    record_bytes,
)
from support.spilling import numbers, release, row, spill_files, up_to, wait_for


@pytest.fixture
def left(proxy, open_service, spill_dir):
    """A file with five batches, whose program ended."""
    service = open_service()
    proxy.refuse()
    for number in range(5):
        service.ingest_flows(row(number))
    release(service)
    proxy.heal()
    (path,) = spill_files(spill_dir)
    return path


@pytest.mark.parametrize("lost", [1, 20, 60])
def test_a_torn_tail_is_cut_off(server, open_service, asset, left, lost, caplog):
    """It is reported and kept; its call never returned."""
    data = left.read_bytes()
    left.write_bytes(data[:-lost])
    with open_service() as service:
        service.flush()
        (kept,) = service.spill_status.set_aside
    assert numbers(server, asset) == up_to(4)
    assert data[:-lost].endswith(Path(kept).read_bytes())
    assert "it is cut off" in caplog.text


def test_a_damaged_record_is_set_aside(server, open_service, asset, left, caplog):
    """Those behind it are sent."""
    data = bytearray(left.read_bytes())
    second = record_at(bytes(data), len(FILE_MAGIC)).end
    third = record_at(bytes(data), second).end
    data[second + 40] ^= 0x55
    left.write_bytes(data)
    with open_service() as service:
        with pytest.raises(NotAcknowledgedError, match="it is damaged") as raised:
            service.flush()
        service.flush()  # It is told once.
        (kept,) = service.spill_status.set_aside
    assert raised.value.files == (kept,)
    assert numbers(server, asset) == [0, 2, 3, 4]
    assert Path(kept).read_bytes() == data[second:third]
    assert "it is damaged" in caplog.text


class Adopted:
    """A lane with one file of given bytes, read to its end by the program that takes it over."""

    def __init__(self, folder, data):
        folder.mkdir(parents=True)
        (folder / "0000000001.spill").write_bytes(data)
        self.aside = []
        lane = Lane.adopt(
            folder, 1_000_000, lambda _, kept, why, __: self.aside.append((kept, why))
        )
        self.batches = []
        while (record := lane.peek(0)) is not None:
            self.batches.append(record.frames)
            lane.discard(record)
        lane.close()
        assert not folder.exists()


BATCHES = [f"batch {number} ".encode() * (number + 1) for number in range(4)]
FILE = FILE_MAGIC + b"".join(record_bytes(uuid.UUID(int=7), batch) for batch in BATCHES)


def test_damage_of_any_byte_costs_one_record_at_most(tmp_path):
    """Every other record is read, in order; what was damaged is kept as it is."""
    for at in range(len(FILE)):
        data = bytearray(FILE)
        data[at] ^= 0xFF
        read = Adopted(tmp_path / str(at), bytes(data))
        lost = [batch for batch in BATCHES if batch not in read.batches]
        assert len(lost) == (at >= len(FILE_MAGIC))
        assert read.batches == [batch for batch in BATCHES if batch not in lost]
        ((kept, _),) = read.aside
        assert kept in data
        assert data[at] in kept


def test_a_file_that_ends_anywhere_has_the_records_before(tmp_path):
    """What of the torn one is there is kept and reported."""
    for end in range(len(FILE) + 1):
        read = Adopted(tmp_path / str(end), FILE[:end])
        records = [record_bytes(uuid.UUID(int=7), batch) for batch in read.batches]
        whole = FILE_MAGIC + b"".join(records)
        assert FILE.startswith(whole)
        torn = FILE[:end] if end < len(FILE_MAGIC) else FILE[len(whole) : end]
        assert read.aside == ([(torn, "it is cut off")] if torn else [])


@given(st.lists(st.binary(max_size=100), min_size=1, max_size=5), st.data())
def test_no_damage_makes_another_record(batches, data):
    """Whatever byte is changed, every record that is read is one that was written."""
    written = [record_bytes(uuid.uuid4(), frames) for frames in batches]
    file = bytearray(FILE_MAGIC + b"".join(written))
    file[data.draw(st.integers(0, len(file) - 1))] ^= data.draw(st.integers(1, 255))
    file = bytes(file[: data.draw(st.integers(0, len(file)))])
    offset = next_record(file, 0)
    while offset is not None:
        record = record_at(file, offset)
        assert record_bytes(record.key, record.frames) in written
        offset = next_record(file, record.end)


def test_a_file_that_somebody_deletes_is_told(server, proxy, open_service, asset, spill_dir):
    """The call that finds out raises; later ones are taken again."""
    service = open_service()
    proxy.refuse()
    service.ingest_flows(row(0))
    shutil.rmtree(spill_dir)
    with pytest.raises(SpillError, match="can't be written to"):
        service.ingest_flows(row(1))
    wait_for(lambda: not service._spilling._sender.is_away)
    service.ingest_flows(row(2))
    proxy.heal()
    with pytest.raises(NotAcknowledgedError, match="somebody deleted it"):
        service.close()
    assert numbers(server, asset) == [2]
