"""`sift doctor` as a person or a program runs it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from sift_server.commands.main import app
from support.folders import FLOWS
from support.serving import plain_channel, serving
from support.telemetry import create_config

if TYPE_CHECKING:
    from pathlib import Path


def doctor(*arguments: object):
    return CliRunner().invoke(app, ["doctor", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that was served once, with a channel and no point."""
    with serving(tmp_path / "data") as server:
        with plain_channel(server.address, server.api_key) as channel:
            create_config(channel, FLOWS)
        assert server.stop() == 0
    return tmp_path / "data"


def test_it_says_what_there_is_and_what_is_wrong(folder: Path):
    """0 for a sound folder, 3 for one that something is wrong with."""
    result = doctor(folder)
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith("The folder is sound.\n")
    assert "catalog  version 10, 1 asset, 2 channels" in result.stdout
    next(folder.glob("log/*.log")).unlink()
    result = doctor(folder, "--quick")
    assert result.exit_code == 3
    assert "PROBLEM  log\n    There is no segment in it" in result.stdout
    result = doctor(folder, "--repair")
    assert result.exit_code == 0
    assert "a new log begins at position" in result.stdout
    assert result.stdout.endswith("The folder is sound.\n")
    assert doctor(folder).exit_code == 0
    with serving(folder) as server:
        assert server.stop() == 0


def test_a_first_start_that_did_not_get_far_is_no_problem(tmp_path: Path):
    """The next one makes what is missing; there is nothing to be mended."""
    (tmp_path / "format").write_text("1\n")
    result = doctor(tmp_path, "--repair")
    assert result.exit_code == 0
    assert "No server was ever ready on this folder" in result.stdout
    assert not (tmp_path / "log").exists()


def test_programs_get_json(folder: Path):
    """With the same words."""
    (folder / "keys").write_bytes(b"?")
    result = doctor(folder, "--json")
    assert result.exit_code == 3
    document = json.loads(result.stdout)
    assert document["sound"] is False
    assert [(each["level"], each["where"]) for each in document["findings"]] == [
        ("problem", "keys")
    ]
    document = json.loads(doctor(folder, "--json", "--repair").stdout)
    assert document["sound"] is True
    assert document["repair"]["done"] == ["keys: it was set aside; the server makes a new one."]
    assert (folder / "damaged").exists()


def test_a_folder_that_is_served_is_refused(folder: Path):
    """What is on its way would look damaged."""
    with serving(folder) as server:
        result = doctor(folder)
        assert result.exit_code == 1
        assert f"served by another process (pid {server.process.pid})" in result.stderr
        assert "sift backup" in result.stderr


def test_what_is_no_folder_of_a_server_is_left_alone(tmp_path: Path):
    """Nothing is made in it."""
    assert doctor(tmp_path).exit_code == 1
    assert list(tmp_path.iterdir()) == []
    assert "there is no folder" in doctor(tmp_path / "none").stderr
    assert doctor(tmp_path, "--repair", "--quick").exit_code == 2


def test_a_later_format_is_left_alone(folder: Path):
    """The program that made it knows what is right there."""
    (folder / "format").write_text("2\n")
    result = doctor(folder, "--repair")
    assert result.exit_code == 1
    assert "has format 2" in result.stderr
