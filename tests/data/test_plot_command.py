"""`sift plot` draws what is stored, into a file or a terminal."""

from __future__ import annotations

import functools
import json
import sys

import pytest
from typer.testing import CliRunner

from sift_py.data import iter_channels, read_overview
from sift_server.commands.main import app


def run(rig, *words):
    command = ["plot", "--asset", "rig", *words, "--data-dir", str(rig.folder)]
    return CliRunner().invoke(app, command, env={"COLUMNS": "100"})


@pytest.mark.parametrize("name", ["plot.png", "plot.svg", "plot.pdf"])
def test_a_picture_is_written(rig, tmp_path, name):
    done = run(rig, "d", "i32", "b", "mode", "bits.*", "--run", "one", "-o", str(tmp_path / name))
    # The elements of a bit field are read by the name of their channel.
    assert done.exit_code == 1
    done = run(rig, "d", "i32", "b", "mode", "bits", "--run", "one", "-o", str(tmp_path / name))
    assert done.exit_code == 0, done.stderr
    assert done.stdout == f"6 curves in {tmp_path / name}.\n"
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_without_a_file_it_is_drawn_in_the_terminal(rig):
    done = run(rig, "d", "mode", "b", "text", "--run", "one")
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "rig, one"
    assert lines[1] == "d in m"
    assert any("▏off" in line for line in lines)
    assert "1 channels of texts or bytes are left out." in done.stderr


def test_json_says_what_is_drawn(rig, tmp_path):
    done = run(rig, "d", "mode", "--run", "one", "--json")
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    number, states = document["curves"]
    assert (document["file"], document["annotations"]) == (None, [])
    assert (number["channel"], number["unit"], number["min"], number["max"]) == (
        "d", "m", -1e300, 1e300,
    )  # fmt: skip
    assert states["states"] == ["off", "on", "9"]
    path = tmp_path / "plot.svg"
    done = run(rig, "d", "--run", "one", "--json", "-o", str(path))
    assert json.loads(done.stdout)["file"] == str(path)
    assert path.exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("d", "-o", "plot.bmp"), 2, "it is to end with .png, .svg or .pdf"),
        (("text",), 1, "there are no such points; texts and bytes can't be drawn"),
        (("d", "--end", "2000-01-01"), 1, "there are no such points"),
        (("mood",), 1, "Did you mean 'mode'?"),
        (("d", "--run", "three"), 1, "there is no run 'three'"),
        ((), 2, "Missing argument"),
    ],
)
def test_what_can_not_be_is_said(rig, words, code, message):
    done = run(rig, *words)
    assert done.exit_code == code
    assert message in done.stderr


def test_too_many_curves_are_refused(rig, monkeypatch):
    monkeypatch.setattr("sift_server.plotting.curves.CURVES_MAX", 2)
    done = run(rig, "i*", "u*")
    assert done.exit_code == 2
    assert "more than 2 curves" in done.stderr


def test_without_matplotlib_it_says_what_to_install(rig, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for name in [each for each in sys.modules if each.startswith("matplotlib.")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "sift_server.plotting.picture", raising=False)
    done = run(rig, "d", "-o", str(tmp_path / "d.png"))
    assert done.exit_code == 1
    assert "pip install 'sift-py[plot]'" in done.stderr


def test_many_points_are_drawn_by_what_the_server_knows_of_them(rig, monkeypatch):
    """Lines of numbers look the same, and whatever has no overview is read."""
    words = ["d", "i32", "b", "mode", "bits", "--run", "one"]
    whole = run(rig, *words)
    some = functools.partial(iter_channels, batch_points=10)
    monkeypatch.setattr("sift_server.commands.plot.iter_channels", some)
    asked = []

    def overview(asset, name, *bounds, **more):
        asked.append(name)
        return read_overview(asset, name, *bounds, **more)

    monkeypatch.setattr("sift_server.commands.plot.read_overview", overview)
    many = run(rig, *words)
    assert asked == ["d", "i32"]
    assert (many.exit_code, many.stderr) == (0, "")
    assert heads(many) == heads(whole)


def heads(done):
    """Lines that do not begin with blanks: names of channels, and of what is marked."""
    return [line for line in done.stdout.splitlines() if line[:1].strip()]
