"""A backup has everything that was acknowledged before it began, and is whole or not there."""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

import support.serving
from prove.serve import Limits
from prove.server_process import PROGRAM
from sift_server.backup import BackupError, check_backup, make_backup, restore_backup
from sift_server.catalog import Catalog, ListRequest
from sift_server.commands.main import app
from sift_server.doctor import examine
from support.folders import ASSET, Folder, digests, make_folder, operations, read_folder
from support.serving import plain_channel, serving
from support.telemetry import Type, create_config, ingest, read_points

if TYPE_CHECKING:
    import grpc

T0 = 1_700_000_000_000_000_000
DAY_NS = 86_400_000_000_000
WRITERS = 4
ROWS = 200
VERSION_1 = Path(__file__).parents[1] / "catalog" / "version_1.sql"


def value_of(writer: int, row: int) -> float:
    return writer * 1_000_003.5 + row / 3


class Writer:
    """Streams calls until it is stopped, and counts what was acknowledged."""

    def __init__(self, number: int, address: str, api_key: str) -> None:
        self.number = number
        self.acknowledged = 0
        """Rows, from the first on."""
        self.sent = 0
        self.misfits = 0
        self._channel = plain_channel(address, api_key)
        flows = {"flow": {f"w{number}": Type.CHANNEL_DATA_TYPE_DOUBLE}}
        self.config = create_config(self._channel, flows, ASSET, f"writer {number}")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            rows = range(self.sent, self.sent + ROWS)
            self.sent += ROWS
            ingest(
                self._channel,
                [
                    self.config.row(
                        "flow", T0 + row * 1_000 + row % 2 * DAY_NS, [value_of(self.number, row)]
                    )
                    for row in rows
                ],
            )
            self.acknowledged = self.sent
            misfit = self.config.row("flow", T0, [0.0])
            misfit.channel_values[0].string = f"{self.misfits}"
            ingest(self._channel, [misfit])
            self.misfits += 1

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(60)
        self._channel.close()

    def points(self, first: int, end: int) -> list[tuple[int, float]]:
        return sorted(
            (T0 + row * 1_000 + row % 2 * DAY_NS, value_of(self.number, row))
            for row in range(first, end)
        )


def busy_command(data_dir: Path, *options: str) -> list[str]:
    """`sift serve` as the crash harness runs it."""
    limits = Limits(
        segment_bytes_max=100_000, flush_interval_ms=100, checkpoint_commits=20, merge_files=4
    )
    return [
        sys.executable, str(PROGRAM), limits.to_json(),
        *("serve", "--data-dir", str(data_dir), "--listen", "127.0.0.1:0", *options),
    ]  # fmt: skip


@pytest.mark.proves("backup-everything")
@pytest.mark.slow
def test_a_backup_under_load_has_everything_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Four writers stream while backups are made; value by value, nothing is missing or twice.

    The server flushes, merges, forgets its log and removes files all the time.
    """
    monkeypatch.setattr(support.serving, "serve_command", busy_command)
    with serving(tmp_path / "data", "--retention-s", "0") as server, ExitStack() as running:
        writers = [Writer(i, server.address, server.api_key) for i in range(WRITERS)]
        for writer in writers:
            running.callback(writer.stop)
        backups = []
        earlier = None
        for number in range(4):
            time.sleep(number + 0.5)
            before = [(writer.acknowledged, writer.misfits) for writer in writers]
            target = tmp_path / f"backup {number}"
            # Slow enough that the server is somewhere else with each file.
            made = make_backup(
                tmp_path / "data",
                target,
                earlier,
                advance=lambda _, pause_s=0.02 * number: time.sleep(pause_s),
            )
            after = [writer.sent for writer in writers]
            backups.append((target, before, after))
            with Catalog.open_to_read(target / "catalog.sqlite") as catalog:
                newest = catalog.error_queue.list(ListRequest(order_by="position desc")).items[:1]
            assert all(each.position <= made.manifest.position for each in newest)
            earlier = target
        running.close()
        assert server.stop() == 0
    assert "OPTIMIZE" in operations(tmp_path / "data")
    shutil.rmtree(tmp_path / "data")
    monkeypatch.undo()
    for number, (target, before, after) in enumerate(backups):
        assert check_backup(target).size_bytes > 0
        folder = tmp_path / f"restored {number}"
        restore_backup(target, folder)
        assert examine(folder).report.problems == ()
        with serving(folder) as server, plain_channel(server.address, server.api_key) as channel:
            asset_id = writers[0].config.asset_id
            for writer, (acknowledged, _), sent in zip(writers, before, after, strict=True):
                found = read_points(channel, asset_id, f"w{writer.number}")
                assert acknowledged <= len(found) <= sent
                # All of them, in whole, and what came meanwhile without a gap.
                assert found == writer.points(0, len(found))
            # It goes on where it was: new messages are taken, misfits kept.
            ingest(channel, [with_channel(writers[0], channel).row("flow", 0, [7.5])])
            misfit = writers[0].config.row("flow", T0, [0.0])
            misfit.channel_values[0].string = "late"
            ingest(channel, [misfit])
            assert (0, 7.5) in read_points(channel, asset_id, "w0")
            assert server.stop() == 0
        with Catalog.open(folder / "catalog.sqlite") as catalog:
            counts = catalog.error_queue.counts().counts
        kept = sum(each.messages for each in counts)
        assert kept >= sum(misfits for _, misfits in before) + 1
        assert examine(folder).report.problems == ()


def with_channel(writer: Writer, channel: grpc.Channel):
    config = writer.config
    return type(config)(channel, config.ingestion_config_id, config.asset_id, config.types)


@pytest.fixture(scope="module")
def killed(tmp_path_factory) -> Folder:
    """A folder of a server that was killed."""
    base = tmp_path_factory.mktemp("folder")
    return make_folder(base / "killed", base / "scratch")


@pytest.fixture
def data(killed: Folder, tmp_path: Path) -> Path:
    shutil.copytree(killed.path, tmp_path / "data")
    return tmp_path / "data"


def test_a_folder_that_is_not_served_is_copied_as_well(killed: Folder, data: Path, tmp_path: Path):
    """With what its log has; it stays as it is."""
    before = digests(data)
    del before["catalog.sqlite"], before["catalog.sqlite-wal"], before["catalog.sqlite-shm"]
    made = make_backup(data, tmp_path / "backup")
    assert before.items() <= digests(data).items()
    assert made.manifest.position == examine(data).log.end
    restore_backup(tmp_path / "backup", tmp_path / "again")
    assert examine(tmp_path / "again").report.findings == ()
    assert sorted(read_folder(tmp_path / "again"), key=str) == sorted(killed.all, key=str)
    assert (tmp_path / "again" / "api_key").stat().st_mode & 0o777 == 0o600


def test_files_of_the_table_are_shared_with_an_earlier_backup(data: Path, tmp_path: Path):
    """They never change; what is deleted in one stays in the other."""
    first = make_backup(data, tmp_path / "first")
    second = make_backup(data, tmp_path / "second", tmp_path / "first")
    assert first.shared_bytes == 0
    assert second.shared_bytes > 0
    shutil.rmtree(tmp_path / "first")
    check_backup(tmp_path / "second")


@pytest.mark.proves("backup-whole")
@pytest.mark.parametrize("where", ["lake", "log", "catalog.sqlite", "manifest.json", "api_key"])
@pytest.mark.parametrize("how", ["flip", "cut", "delete"])
def test_a_damaged_backup_is_refused(data: Path, tmp_path: Path, where: str, how: str):
    """Every byte is checked on the way, and nothing is left of the folder."""
    make_backup(data, tmp_path / "backup")
    files = [tmp_path / "backup" / where, *(tmp_path / "backup" / where).rglob("*")]
    harmed = max((file for file in files if file.is_file()), key=lambda file: file.stat().st_size)
    content = bytearray(harmed.read_bytes())
    content[len(content) // 2] ^= 1
    if how == "delete":
        harmed.unlink()
    else:
        harmed.write_bytes(content if how == "flip" else content[:-1])
    for act in (restore_backup, lambda backup, _: check_backup(backup)):
        with pytest.raises(BackupError, match=harmed.name):
            act(tmp_path / "backup", tmp_path / "again")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "data"]


@pytest.mark.parametrize("where", ["lake/date=*/*.parquet", "log/*.log", "lake/_delta_log/*.json"])
def test_a_damaged_folder_is_not_copied(data: Path, tmp_path: Path, where: str):
    """A backup that looked whole would be worse than none."""
    named = sorted(data.glob(where), key=lambda file: file.stat().st_mtime_ns)
    for harmed in named:
        content = bytearray(harmed.read_bytes())
        content[len(content) // 2] ^= 1
        harmed.write_bytes(content)
    with pytest.raises(BackupError, match="sift doctor"):
        make_backup(data, tmp_path / "backup")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.proves("backup-whole")
def test_a_backup_that_is_killed_is_none(data: Path, tmp_path: Path):
    """At any moment; the next one begins anew."""
    program = (
        "import sys, time; from pathlib import Path; from sift_server.backup import make_backup\n"
        "count = 0\n"
        "def advance(size):\n"
        "    global count; count += 1\n"
        "    if count == int(sys.argv[3]): print('there', flush=True); time.sleep(60)\n"
        "make_backup(Path(sys.argv[1]), Path(sys.argv[2]), advance=advance)\n"
    )
    for step in (1, 4):
        command = [sys.executable, "-c", program, data, tmp_path / "backup", str(step)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b"there\n"
            with pytest.raises(BackupError, match="another process is filling"):
                make_backup(data, tmp_path / "backup")
            process.send_signal(signal.SIGKILL)
        assert not (tmp_path / "backup").exists()
        with pytest.raises(BackupError, match="no backup that is whole"):
            restore_backup(tmp_path / "backup.partial", tmp_path / "again")
    make_backup(data, tmp_path / "backup")
    check_backup(tmp_path / "backup")
    assert not (tmp_path / "backup.partial").exists()


@pytest.mark.parametrize("fails_at", [1, 5, 9])
def test_a_full_disk_leaves_nothing(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
):
    """Neither of a backup nor of a folder that is restored."""
    make_backup(data, tmp_path / "whole")
    sync = os.fsync
    for words in (["backup", str(data)], ["restore", str(tmp_path / "whole")]):
        calls = itertools.count(1)

        def failing(descriptor: int, calls=calls) -> None:
            if next(calls) >= fails_at:
                raise OSError(errno.ENOSPC, "No space left on device")
            sync(descriptor)

        monkeypatch.setattr(os, "fsync", failing)
        result = CliRunner().invoke(app, [*words, str(tmp_path / "target")])
        monkeypatch.undo()
        assert result.exit_code == 1
        assert f"the disk of {tmp_path / 'target'} is full" in result.stderr
        assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "whole"]


def test_a_target_without_room_is_refused_at_once(data: Path, tmp_path: Path, monkeypatch):
    """Before anything is copied."""
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000))
    with pytest.raises(BackupError, match="1,000 bytes free"):
        make_backup(data, tmp_path / "backup")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_nothing_is_overwritten(data: Path, tmp_path: Path):
    """Neither a backup nor a folder."""
    (tmp_path / "empty").mkdir()
    make_backup(data, tmp_path / "empty")
    with pytest.raises(BackupError, match="not an empty folder"):
        make_backup(data, tmp_path / "empty")
    with pytest.raises(BackupError, match="not an empty folder"):
        restore_backup(tmp_path / "empty", data)
    with pytest.raises(BackupError, match="in the folder that is to be copied"):
        make_backup(data, data / "backup")


def test_a_copy_is_as_closed_as_what_it_is_of(data: Path, tmp_path: Path):
    """Others must not read in a backup, or a restored folder, what they can't in the folder."""
    data.chmod(0o700)
    (data / "catalog.sqlite").chmod(0o600)
    make_backup(data, tmp_path / "backup")
    restore_backup(tmp_path / "backup", tmp_path / "again")
    assert (tmp_path / "backup").stat().st_mode & 0o777 == 0o700
    (tmp_path / "backup").chmod(0o755)
    (tmp_path / "closed").mkdir(0o700)
    restore_backup(tmp_path / "backup", tmp_path / "closed")
    for copy in ("again", "closed"):
        assert (tmp_path / copy).stat().st_mode & 0o777 == 0o700
        assert (tmp_path / copy / "catalog.sqlite").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_can_not_be_replaced_is_refused(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Before anything is copied: the folder that the caller is in, and where a disk is mounted."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(BackupError, match="the folder that you are in"):
        make_backup(data, Path())
    (tmp_path / "disk").mkdir()
    monkeypatch.setattr(Path, "is_mount", lambda path: path.name == "disk")
    with pytest.raises(BackupError, match="a mount point"):
        make_backup(data, tmp_path / "disk")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "disk", "here"]


def test_a_folder_of_an_older_version_is_copied_as_it_is(data: Path, tmp_path: Path):
    """The server that serves what is restored brings its catalog up."""
    for file in data.glob("catalog.sqlite*"):
        file.unlink()
    with closing(sqlite3.connect(data / "catalog.sqlite")) as connection:
        connection.executescript(VERSION_1.read_text(encoding="utf-8"))
    make_backup(data, tmp_path / "backup")
    restore_backup(tmp_path / "backup", tmp_path / "again")
    assert examine(tmp_path / "again").catalog.version == 1
    with serving(tmp_path / "again") as server:
        assert server.stop() == 0
    with Catalog.open(tmp_path / "again" / "catalog.sqlite") as catalog:
        assert "rover" in {each.name for each in catalog.assets.list(ListRequest()).items}


def test_programs_get_json(data: Path, tmp_path: Path):
    """Sizes, counts and the position; 1 for what can't be done, 2 for a wrong use."""
    backup = str(tmp_path / "backup")
    made = json.loads(CliRunner().invoke(app, ["backup", str(data), backup, "--json"]).stdout)
    again = ["restore", backup, str(tmp_path / "again"), "--json"]
    restored = json.loads(CliRunner().invoke(app, again).stdout)
    assert restored == {**{key: made[key] for key in restored}, "folder": again[2]}
    assert made["files"] > 5
    assert CliRunner().invoke(app, again).exit_code == 1
    assert CliRunner().invoke(app, ["restore", backup, "--check"]).exit_code == 0
    assert CliRunner().invoke(app, ["restore", backup]).exit_code == 2
    result = CliRunner().invoke(app, ["backup", str(tmp_path / "none"), backup])
    assert result.exit_code == 1
    assert "there is no folder" in result.stderr
