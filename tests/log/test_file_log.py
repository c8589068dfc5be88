"""The ingest log keeps what it made durable, and nothing else counts as acknowledged."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import struct
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sift_server.log import (
    FileLog,
    LogCorruptionError,
    LogFailedError,
    LogFullError,
    LogLimits,
)
from sift_server.log.files import Disk
from sift_server.log.segment import (
    HEADER_BYTES,
    record_bytes,
    segment_header,
    segment_name,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def ignore(position: int) -> None:
    """A record is durable; nobody cares."""


def append_all(log: FileLog, payloads: Sequence[bytes]) -> list[int]:
    return [log.append(payload, ignore).result(10) for payload in payloads]


def payloads_of(log: FileLog, after: int = 0) -> list[bytes]:
    return [record.payload for record in log.replay(after)]


def crash(log: FileLog) -> None:
    """End a log as a killed process does: without the note that it was closed."""
    log.close()
    (log._folder / "closed").unlink(missing_ok=True)


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.log"))


class LogMachine(RuleBasedStateMachine):
    """Appends, reopens, crashes and discards in any order equal a list of records."""

    folder: Path

    @initialize(segment_bytes_max=st.integers(64, 2000))
    def begin(self, segment_bytes_max: int) -> None:
        self.folder = MACHINE_FOLDERS[0] / str(next(MACHINE_NUMBERS))
        self.limits = LogLimits(segment_bytes_max=segment_bytes_max)
        self.records: list[tuple[int, bytes]] = []
        self.discarded = 0
        self.log = FileLog.open(self.folder, self.limits)

    @rule(payloads=st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=8))
    def append(self, payloads: list[bytes]) -> None:
        published: list[int] = []
        futures = [self.log.append(payload, published.append) for payload in payloads]
        positions = [future.result(10) for future in futures]
        assert positions == sorted(set(positions)) == published
        assert positions[0] > (self.records[-1][0] if self.records else 0)
        self.records += zip(positions, payloads, strict=True)

    @rule(in_order=st.booleans())
    def reopen(self, in_order: bool) -> None:
        if in_order:
            self.log.close()
        else:
            crash(self.log)
        self.log = FileLog.open(self.folder, self.limits)

    @precondition(lambda self: self.records)
    @rule(data=st.data())
    def discard(self, data: st.DataObject) -> None:
        through = data.draw(st.sampled_from(self.records))[0]
        self.log.discard(through)
        self.discarded = max(self.discarded, through)

    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        kept = [record for record in self.records if record[0] > self.discarded]
        after = data.draw(st.sampled_from([self.discarded, *(position for position, _ in kept)]))
        expected = [record for record in self.records if record[0] > after]
        assert [(each.position, each.payload) for each in self.log.replay(after)] == expected

    def teardown(self) -> None:
        if hasattr(self, "log"):
            self.log.close()


MACHINE_FOLDERS: list[Path] = []
MACHINE_NUMBERS = itertools.count()


def test_any_order_of_operations_equals_a_list(tmp_path: Path):
    """A state machine over append, reopen, crash, discard and replay."""
    MACHINE_FOLDERS[:] = [tmp_path]
    run_state_machine_as_test(
        LogMachine,
        settings=settings(max_examples=40, stateful_step_count=20),
    )


@pytest.mark.proves("restart-torn")
def test_a_torn_tail_is_cut_off_at_every_byte(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """A file that ends anywhere in the last record gives back all before it, and it is told."""
    whole = tmp_path / "whole"
    log = FileLog.open(whole)
    append_all(log, [b"first", b"second record", b"the third one"])
    crash(log)
    (segment,) = segments(whole)
    size = segment.stat().st_size
    last = record_bytes(len(b"the third one"))
    for cut in range(size - last, size):
        folder = tmp_path / str(cut)
        shutil.copytree(whole, folder)
        os.truncate(segments(folder)[0], cut)
        caplog.clear()
        log = FileLog.open(folder)
        torn = cut - (size - last)
        assert [f"cut {torn} bytes off {segments(folder)[0]}" in caplog.text] == [torn > 0]
        assert payloads_of(log) == [b"first", b"second record"]
        append_all(log, [b"again"])
        log.close()
        log = FileLog.open(folder)
        assert payloads_of(log) == [b"first", b"second record", b"again"]
        log.close()


@pytest.mark.parametrize("fill", [b"\0", b"\xff"])
def test_a_tail_of_stale_bytes_is_cut_off(tmp_path: Path, fill: bytes):
    """After a power cut a file may be longer than what was written, with zeros or old bytes."""
    log = FileLog.open(tmp_path / "log")
    append_all(log, [b"one", b"two"])
    crash(log)
    with segments(tmp_path / "log")[0].open("ab") as file:
        file.write(fill * 4096)
    log = FileLog.open(tmp_path / "log")
    assert payloads_of(log) == [b"one", b"two"]
    log.close()


@pytest.mark.proves("restart-damage")
def test_damage_before_the_last_group_is_never_repaired_silently(tmp_path: Path):
    """Any bit flipped in a record that later records prove durable is an error."""
    whole = tmp_path / "whole"
    log = FileLog.open(whole)
    append_all(log, [b"first", b"second record", b"the third one"])
    crash(log)
    (segment,) = segments(whole)
    end = segment.stat().st_size - record_bytes(len(b"the third one"))
    original = segment.read_bytes()
    padding = {
        HEADER_BYTES + record_bytes(5) - i for i in range(1, 4)
    } | {end - i for i in range(1, 4)}  # fmt: skip
    for offset in range(end):
        if offset in padding:
            continue
        damaged = bytearray(original)
        damaged[offset] ^= 1 << offset % 8
        segment.write_bytes(damaged)
        with pytest.raises(LogCorruptionError, match=r"damaged|renamed") as caught:
            FileLog.open(whole)
        assert str(segment) in str(caught.value)
        assert segment.read_bytes() == damaged
    segment.write_bytes(original)


@pytest.mark.proves("restart-damage")
def test_damaged_bytes_are_set_aside(tmp_path: Path):
    """A copy of them, up to the next whole record, is beside the segment; the message names it."""
    log = FileLog.open(tmp_path)
    append_all(log, [b"first", b"second record", b"the third one", b"the fourth"])
    crash(log)
    (segment,) = segments(tmp_path)
    start = HEADER_BYTES + record_bytes(5)
    end = start + record_bytes(len(b"second record"))
    damaged = bytearray(segment.read_bytes())
    damaged[start + 20] ^= 1
    segment.write_bytes(damaged)
    for _ in range(2):
        with pytest.raises(LogCorruptionError, match=f"{segment}.damaged-{start}"):
            FileLog.open(tmp_path)
    (aside,) = tmp_path.glob("*.damaged-*")
    assert aside.read_bytes() == damaged[start:end]
    assert segment.read_bytes() == damaged


@pytest.mark.proves("restart-gap")
def test_what_the_table_has_can_be_damaged_or_missing(tmp_path: Path):
    """Segments that the table covers are removed at the start, whatever became of them."""
    limits = LogLimits(segment_bytes_max=50)
    log = FileLog.open(tmp_path, limits)
    positions = append_all(log, [bytes([i]) * 100 for i in range(1, 6)])
    crash(log)
    first, second, *_ = segments(tmp_path)
    first.write_bytes(b"damaged")
    second.unlink()
    with pytest.raises(LogCorruptionError):
        FileLog.open(tmp_path, limits, covered_position=positions[0])
    log = FileLog.open(tmp_path, limits, covered_position=positions[2])
    assert [record.position for record in log.replay(positions[2])] == positions[3:]
    assert first not in segments(tmp_path)
    log.close()


def test_damage_to_the_end_of_a_closed_log_is_found(tmp_path: Path):
    """A log that was closed in order has no tail that could be torn."""
    log = FileLog.open(tmp_path / "log")
    append_all(log, [b"one", b"two"])
    log.close()
    segment = segments(tmp_path / "log")[0]
    os.truncate(segment, segment.stat().st_size - 1)
    with pytest.raises(LogCorruptionError):
        FileLog.open(tmp_path / "log")


@pytest.mark.proves("restart-gap")
def test_a_missing_segment_is_found(tmp_path: Path):
    """A gap between segments, or before what is asked for, is an error."""
    limits = LogLimits(segment_bytes_max=50)
    log = FileLog.open(tmp_path / "log", limits)
    append_all(log, [bytes([i]) * 100 for i in range(1, 5)])
    log.close()
    first, second, *_ = segments(tmp_path / "log")
    kept = second.read_bytes()
    second.unlink()
    with pytest.raises(LogCorruptionError, match="missing"):
        FileLog.open(tmp_path / "log", limits)
    second.write_bytes(kept)
    first.unlink()
    log = FileLog.open(tmp_path / "log", limits)
    with pytest.raises(LogCorruptionError, match="missing"):
        payloads_of(log)
    log.close()


def test_an_empty_newest_segment_is_what_a_crash_leaves(tmp_path: Path):
    """A segment whose header never reached the disk holds nothing."""
    log = FileLog.open(tmp_path / "log")
    (position,) = append_all(log, [b"one"])
    crash(log)
    for content in (b"", b"\0" * HEADER_BYTES, b"SIFT"):
        (tmp_path / "log" / f"{position:020d}.log").write_bytes(content)
        log = FileLog.open(tmp_path / "log")
        assert payloads_of(log) == [b"one"]
        crash(log)


def test_many_threads_share_the_log(tmp_path: Path):
    """Publication follows the order of positions, and every thread gets its own future."""
    log = FileLog.open(tmp_path / "log", LogLimits(segment_bytes_max=10_000))
    published: list[int] = []
    results: dict[int, bytes] = {}

    def send(number: int) -> None:
        for i in range(50):
            payload = f"{number} {i}".encode() * 10
            results[log.append(payload, published.append).result(10)] = payload

    threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert published == sorted(results)
    assert {each.position: each.payload for each in log.replay(0)} == results
    log.close()


class FailingDisk(Disk):
    """Fails the next write, or every sync, with an error number; has as much room as it is told."""

    def __init__(self) -> None:
        self.fail_write = self.fail_sync = self.fail_sync_folder = 0
        self.free = 2**40
        self.written: list[int] = []

    def write(self, descriptor: int, buffers: Sequence[bytes], offset: int) -> None:
        if self.fail_write:
            super().write(descriptor, buffers[:1], offset)
            code, self.fail_write = self.fail_write, 0
            raise OSError(code, os.strerror(code))
        self.written.append(offset)
        super().write(descriptor, buffers, offset)

    def sync(self, descriptor: int) -> None:
        if self.fail_sync:
            raise OSError(self.fail_sync, os.strerror(self.fail_sync))
        super().sync(descriptor)

    def sync_folder(self, folder: Path) -> None:
        if self.fail_sync_folder:
            raise OSError(self.fail_sync_folder, os.strerror(self.fail_sync_folder))
        super().sync_folder(folder)

    def free_bytes(self, folder: Path) -> int:
        return self.free


def test_a_full_disk_fails_the_append_and_not_the_log(tmp_path: Path):
    """What did not fit is not acknowledged; when there is space again the log goes on."""
    disk = FailingDisk()
    log = FileLog.open(tmp_path / "log", disk=disk)
    append_all(log, [b"one"])
    disk.fail_write = errno.ENOSPC
    with pytest.raises(LogFullError, match="space"):
        log.append(b"two", ignore).result(10)
    append_all(log, [b"three"])
    crash(log)
    log = FileLog.open(tmp_path / "log")
    assert payloads_of(log) == [b"one", b"three"]
    log.close()


@pytest.mark.proves("full-disk-reserve")
def test_room_is_left_for_what_shortens_the_log(tmp_path: Path):
    """A disk that is almost full takes no more; when there is room again the log goes on."""
    disk = FailingDisk()
    log = FileLog.open(tmp_path / "log", LogLimits(free_bytes_min=1000), disk=disk)
    disk.free = 1000 + record_bytes(3) - 1
    with pytest.raises(LogFullError, match="1000 of them are kept"):
        log.append(b"one", ignore).result(10)
    disk.free += 1
    append_all(log, [b"two"])
    assert payloads_of(log) == [b"two"]
    log.close()


def test_a_failed_fsync_of_a_new_segment_fails_the_log_for_good(tmp_path: Path):
    """Of the segment or of its folder: nobody knows whether it is there."""
    for attribute in ("fail_sync", "fail_sync_folder"):
        folder = tmp_path / attribute
        disk = FailingDisk()
        log = FileLog.open(folder, LogLimits(segment_bytes_max=50), disk=disk)
        append_all(log, [b"one" * 20])
        setattr(disk, attribute, errno.EIO)
        with pytest.raises(LogFailedError, match="restart"):
            log.append(b"two", ignore).result(10)
        setattr(disk, attribute, 0)
        with pytest.raises(LogFailedError, match="restart"):
            log.append(b"three", ignore)
        log.close()
        log = FileLog.open(folder)
        assert payloads_of(log) == [b"one" * 20]
        log.close()


@pytest.mark.proves("sync-again")
def test_what_is_not_proven_to_be_synced_is_written_again(tmp_path: Path):
    """After a failed fsync the system may have bytes in memory that it will never write."""
    log = FileLog.open(tmp_path)
    positions = append_all(log, [b"one", b"two", b"three"])
    crash(log)
    disk = FailingDisk()
    log = FileLog.open(tmp_path, disk=disk)
    # The last record says that the two before it were durable.
    assert disk.written == [HEADER_BYTES + positions[1]]
    assert payloads_of(log) == [b"one", b"two", b"three"]
    log.close()


def test_a_failed_fsync_fails_the_log_for_good(tmp_path: Path):
    """After a failed fsync nobody knows what is on disk: nothing more is acknowledged."""
    disk = FailingDisk()
    log = FileLog.open(tmp_path / "log", disk=disk)
    append_all(log, [b"one"])
    disk.fail_sync = errno.EIO
    with pytest.raises(LogFailedError, match="restart"):
        log.append(b"two", ignore).result(10)
    disk.fail_sync = 0
    with pytest.raises(LogFailedError, match="restart"):
        log.append(b"three", ignore)
    log.close()
    log = FileLog.open(tmp_path / "log")
    assert payloads_of(log)[:1] == [b"one"]
    log.close()


def test_a_failed_publication_stops_later_ones(tmp_path: Path):
    """A record that can't be published is not overtaken; it is replayed after a restart."""
    log = FileLog.open(tmp_path / "log")

    def refuse(position: int) -> None:
        raise ArithmeticError

    with pytest.raises(LogFailedError, match="ArithmeticError"):
        log.append(b"one", refuse).result(10)
    with pytest.raises(LogFailedError, match="Restart"):
        log.append(b"two", ignore)
    log.close()
    log = FileLog.open(tmp_path / "log")
    assert payloads_of(log) == [b"one"]
    log.close()


@given(size=st.sampled_from([0, 1001]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=2)
def test_a_record_has_a_size(tmp_path: Path, size: int):
    """Empty and oversized records are refused before anything is written."""
    log = FileLog.open(tmp_path / "log", LogLimits(record_bytes_max=1000))
    with pytest.raises(ValueError, match="1000"):
        log.append(b"x" * size, ignore)
    log.close()


def test_appends_wait_while_too_much_is_on_its_way(tmp_path: Path):
    """The queue in front of the disk has a limit in bytes; beyond it the caller waits."""
    gate = threading.Event()
    log = FileLog.open(tmp_path / "log", LogLimits(pending_bytes_max=100))
    first = log.append(b"x" * 80, lambda _: gate.wait(10) and None)
    late: list[int] = []
    thread = threading.Thread(target=lambda: late.append(log.append(b"y" * 80, ignore).result(10)))
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()
    gate.set()
    thread.join(10)
    assert late == [first.result(10) + record_bytes(80)]
    log.close()


def test_an_empty_log_begins_where_it_is_told(tmp_path: Path):
    """A log that was moved away starts behind what the table has."""
    log = FileLog.open(tmp_path / "log", covered_position=4096)
    assert log.durable_position == 4096
    assert append_all(log, [b"one"]) == [4096 + record_bytes(3)]
    assert payloads_of(log, 4096) == [b"one"]
    log.close()


APPENDER = """
import sys, pathlib
from sift_server.log import FileLog, LogLimits
log = FileLog.open(pathlib.Path(sys.argv[1]), LogLimits(segment_bytes_max=20_000))
number = int(sys.argv[2])
while True:
    futures = [log.append(b"%d" % (number + i), lambda position: None) for i in range(20)]
    number += 20
    for future in futures:
        future.result()
    print(number, flush=True)
"""


def test_kills_lose_nothing_that_was_durable(tmp_path: Path):
    """Twenty times `kill -9` while a process appends: all it was told to be durable is there."""
    folder = tmp_path / "log"
    number = 0
    for round_number in range(20):
        child = subprocess.Popen(
            [sys.executable, "-c", APPENDER, str(folder), str(number)],
            stdout=subprocess.PIPE,
            text=True,
        )
        lines = [child.stdout.readline() for _ in range(1 + round_number % 5)]
        child.kill()
        rest, _ = child.communicate()
        acknowledged = int([*lines, *rest.split()][-1])
        log = FileLog.open(folder, LogLimits(segment_bytes_max=20_000))
        numbers = [int(payload) for payload in payloads_of(log)]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) >= acknowledged
        number = len(numbers)
        crash(log)


@pytest.mark.parametrize(
    "note", [b"", b"x", b"\xff\xfe", b"9" * 5_000, "९".encode(), b"1 2", b"-1"]
)
def test_a_note_that_can_not_be_read_says_nothing(tmp_path: Path, note: bytes):
    """It says where a log was closed, and stands behind no checksum."""
    log = FileLog.open(tmp_path)
    append_all(log, [b"one", b"two"])
    log.close()
    (tmp_path / "closed").write_bytes(note)
    log = FileLog.open(tmp_path)
    assert payloads_of(log) == [b"one", b"two"]
    log.close()


def test_a_segment_at_the_end_of_all_positions_is_damaged(tmp_path: Path):
    """No log gets there; what stands behind would have positions that no field holds."""
    base = 2**64 - 8
    path = tmp_path / segment_name(base)
    path.write_bytes(segment_header(base) + b"\1\0\0\0" * 20)
    with pytest.raises(LogCorruptionError, match="is damaged at byte 0"):
        FileLog.open(tmp_path)


@pytest.mark.proves("restart-bounded")
def test_bytes_that_look_like_records_do_not_hold_up_a_start(tmp_path: Path, monkeypatch):
    """Who sent them, and then the server was killed while it wrote, would stop it for days."""
    log = FileLog.open(tmp_path)
    (position,) = append_all(log, [b"one"])
    # At any place, nearly as long as the rest, and from when the log was durable beyond the damage.
    words = [word for left in range(20_000, 0, -1) for word in (left * 15, position + 8)]
    append_all(log, [struct.pack(f"<{len(words)}Q", *words)])
    crash(log)
    (segment,) = segments(tmp_path)
    segment.write_bytes(segment.read_bytes()[:-8])
    monkeypatch.setattr("sift_server.log.segment.LOOKED_AT_BYTES_MAX", 10_000_000)
    begin_s = time.process_time()
    with pytest.raises(LogCorruptionError, match="may have been acknowledged"):
        FileLog.open(tmp_path)
    assert time.process_time() - begin_s < 1
