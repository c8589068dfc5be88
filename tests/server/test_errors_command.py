"""`sift errors` as a person or a program runs it."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from sift_server.catalog import ErrorQueueLimits
from sift_server.commands.main import app
from sift_server.server import Server, ServerSettings
from support.serving import plain_channel, serving
from support.telemetry import Request, Type, create_config, ingest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import grpc

T0 = 1_700_000_000_123_456_789
READINGS = {"readings": {"pressure": Type.CHANNEL_DATA_TYPE_DOUBLE}}
GARBAGE = b"\xff\xff\xff\xff"


def raw_stream(channel: grpc.Channel) -> Callable[..., bytes]:
    """Sends bytes as messages, whatever they are."""
    return channel.stream_unary(
        "/sift.ingest.v1.IngestService/IngestWithConfigDataStream",
        request_serializer=bytes,
        response_deserializer=bytes,
    )


def rejected(channel: grpc.Channel) -> list[bytes]:
    """Seven messages: five of a wrong type, one of an odd time, one that is none."""
    config = create_config(channel, READINGS)
    rows = [config.row("readings", T0 + i, [0.0]) for i in range(6)]
    for i, row in enumerate(rows):
        row.channel_values[0].string = f"high {i}"
    rows[5].timestamp.nanos = -5
    return [*[row.SerializeToString() for row in rows], GARBAGE]


@pytest.fixture(scope="module")
def messages() -> list[bytes]:
    """What `folder` has rejected."""
    return []


@pytest.fixture(scope="module")
def folder(tmp_path_factory, messages) -> Path:
    """A folder that is not served, with messages in its error queue."""
    path = tmp_path_factory.mktemp("errors") / "data"
    with (
        Server(ServerSettings(path, port=0)) as server,
        plain_channel(server.address, server.api_key) as channel,
    ):
        messages += rejected(channel)
        raw_stream(channel)(iter(messages))
    return path


def run(folder: Path, command: str, *options: str):
    """Run a command on a folder."""
    return CliRunner().invoke(app, ["errors", command, "--data-dir", str(folder), *options])


def listed(folder: Path, *options: str) -> list[dict[str, object]]:
    """What `list --json` has, which must go well."""
    done = run(folder, "list", "--json", *options)
    assert done.exit_code == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_count_says_what_where_why_and_how_many(folder):
    """The most first, with a reason, and the sum of all."""
    done = run(folder, "count")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["MESSAGES", "ASSET", "FLOW", "CHANNEL", "CAUSE", "LAST", "RECEIVED"]
    assert lines[1].split()[:6] == ["5", "rig", "readings", "pressure", "wrong", "type"]
    assert "the value 'high 0' is sent as 'string'" in lines[2]
    assert lines[-2].startswith("Kept: 7 messages, ")
    assert lines[-1] == "Dropped: none."


def test_count_for_programs(folder):
    """The same in JSON, of those that the filter takes."""
    done = run(folder, "count", "--json", "--filter", "cause != 'unreadable'")
    document = json.loads(done.stdout)
    assert [(one["channel_name"], one["cause"], one["count"]) for one in document["counts"]] == [
        ("pressure", "wrong type", 5), ("", "timestamp out of range", 1),
    ]  # fmt: skip
    assert document["kept"]["count"] == 7
    assert document["dropped"] == {
        "count": 0, "bytes": 0, "first_received": None, "last_received": None,
    }  # fmt: skip


def test_check_tells_by_its_status(folder, tmp_path):
    """For a test run that must not have any."""
    assert run(folder, "count", "--check").exit_code == 3
    assert run(folder, "count", "--check", "--filter", "asset_name == 'other'").exit_code == 0
    with Server(ServerSettings(tmp_path / "clean", port=0)):
        pass
    done = run(tmp_path / "clean", "count", "--check")
    assert (done.exit_code, done.stdout) == (0, "Kept: 0 messages, 0 KiB.\nDropped: none.\n")


def test_list_has_the_newest_first(folder, messages):
    """With ids, reasons and sizes; that there are more is said."""
    done = run(folder, "list", "--limit", "2")
    lines = done.stdout.splitlines()
    assert len(lines) == 5
    assert lines[1].split()[-2:] == ["unreadable", "4"]
    assert "-5 nanos" in lines[4]
    assert "more than 2" in done.stderr
    times = [one["timestamp"] for one in listed(folder, "--order-by", "message_date")]
    assert times[:3] == [None, None, "2023-11-14T22:13:20.123456789Z"]


def test_list_for_programs_has_the_bytes(folder, messages):
    """An object a line."""
    found = listed(folder, "--order-by", "position")
    assert [base64.b64decode(one["message_base64"]) for one in found] == messages
    assert {one["asset_name"] for one in found} == {"rig", ""}


def test_show_says_all_of_a_message(folder, messages):
    """Also if its timestamp is one that JSON has no words for."""
    newest = listed(folder)
    for one, values in ((newest[2], "high 4"), (newest[1], '"nanos": -5')):
        done = run(folder, "show", one["id"])
        assert done.exit_code == 0
        assert f"reason     {one['reason']}" in done.stdout.splitlines()
        assert values in done.stdout
    document = json.loads(run(folder, "show", newest[2]["id"], "--json").stdout)
    assert document["message"]["flow"] == "readings"
    assert document["message"]["channel_values"] == [{"string": "high 4"}]


def test_show_has_the_bytes(folder, messages):
    """In hexadecimal, also of what can't be read; or as they came."""
    newest = listed(folder)
    assert "00000000  ff ff ff ff  " in run(folder, "show", newest[0]["id"]).stdout
    assert json.loads(run(folder, "show", newest[0]["id"], "--json").stdout)["message"] is None
    assert messages[0][:16].hex(" ") in run(folder, "show", newest[6]["id"], "--hex").stdout
    assert run(folder, "show", newest[6]["id"], "--raw").stdout_bytes == messages[0]


def test_export_can_be_sent_again(folder, messages, tmp_path):
    """The file is the body of an ingest call."""
    file = tmp_path / "rejected.bin"
    done = run(folder, "export", str(file), "--filter", "cause == 'wrong type'")
    assert (done.exit_code, done.stdout) == (0, f"5 messages written to {file}\n")
    assert file.read_bytes() == b"".join(
        b"\0" + len(message).to_bytes(4) + message for message in messages[:5]
    )
    again = run(folder, "export", str(file))
    assert again.exit_code == 1
    assert "is there already" in again.stderr


def test_what_clients_send_does_not_reach_the_terminal(tmp_path):
    """Control characters are escaped, long names are cut."""
    with (
        Server(ServerSettings(tmp_path / "data", port=0)) as server,
        plain_channel(server.address, server.api_key) as channel,
    ):
        ingest(channel, [Request(flow="\x1b[31mred\n"), Request(flow="x" * 1_000_000)])
    for command in ("count", "list"):
        done = run(tmp_path / "data", command)
        assert r"\x1b[31mred\n" in done.stdout
        assert "\x1b" not in done.stdout
        assert len(done.stdout) < 5_000


def test_it_says_what_was_dropped(tmp_path):
    """How many, and of what time; they count for the check as well."""
    limits = ErrorQueueLimits(messages_max=2)
    with (
        Server(ServerSettings(tmp_path / "data", port=0, error_limits=limits)) as server,
        plain_channel(server.address, server.api_key) as channel,
    ):
        raw_stream(channel)(iter(rejected(channel)))
    done = run(tmp_path / "data", "count", "--check")
    assert done.exit_code == 3
    assert "Dropped to make room: 5 messages, " in done.stdout
    assert ", received from 20" in done.stdout
    dropped = json.loads(run(tmp_path / "data", "count", "--json").stdout)["dropped"]
    assert dropped["count"] == 5
    assert dropped["first_received"] <= dropped["last_received"]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["list", "--filter", "bogus == 1"], 2, "'bogus', which rejected messages lack"),
        (["list", "--order-by", "up"], 2, "order_by"),
        (["count", "--filter", "((("], 2, "filter"),
        (["show", "5-9"], 2, "POSITION/INDEX"),
        (["show", "5/9", "--hex", "--raw"], 2, "exclude each other"),
        (["show", "999999999999999999/9"], 1, "no rejected message 999999999999999999/9"),
        (["export", "/there/is/no/such/folder/x.bin"], 1, "/there/is/no/such/folder"),
    ],
)
def test_a_mistake_gets_a_sentence(folder, arguments, status, words):
    """And a status: 2 if the words of the command were wrong, 1 otherwise."""
    done = run(folder, *arguments)
    assert done.exit_code == status
    assert words in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_folder_that_is_none_is_named(tmp_path):
    """Nothing is made there."""
    done = run(tmp_path / "nowhere", "count")
    assert done.exit_code == 1
    assert "is not the folder of a server" in done.stderr
    (tmp_path / "catalog.sqlite").write_bytes(b"x" * 4096)
    done = run(tmp_path, "count")
    assert done.exit_code == 1
    assert "can't be read" in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["catalog.sqlite"]


def test_a_folder_that_is_served_is_read_too(tmp_path):
    """By another process, while the server goes on."""
    with (
        serving(tmp_path / "data") as server,
        plain_channel(server.address, server.api_key) as channel,
    ):
        messages = rejected(channel)
        raw_stream(channel)(iter(messages))
        command = "from sift_server.commands import main; main()"
        options = ["errors", "list", "--json", "--data-dir", str(tmp_path / "data")]
        seen: list[str] = []
        for _ in range(10):
            done = subprocess.run(
                [sys.executable, "-c", command, *options],
                capture_output=True, text=True, timeout=60, check=True,
            )  # fmt: skip
            seen = done.stdout.splitlines()
            if len(seen) == len(messages):
                break
        assert len(seen) == len(messages)
        raw_stream(channel)(iter(messages))
        assert server.stop() == 0
    assert len(listed(tmp_path / "data")) == 2 * len(messages)
