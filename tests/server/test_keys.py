"""API keys as an operator makes and revokes them, beside a server that runs."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import grpc
import pytest

from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataStreamRequest
from sift.ingest.v1.ingest_pb2_grpc import IngestServiceStub
from sift.ping.v1 import ping_pb2, ping_pb2_grpc
from sift.runs.v2 import runs_pb2, runs_pb2_grpc
from sift_server.catalog import Catalog, Scope
from support.serving import plain_channel, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sift_server.catalog import ApiKeys
    from sift_server.server import Server

SECONDS_TO_FOLLOW = 5
"""Half a second is promised; the machine may be busy."""


def keys(*arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    """`sift keys` as a person types it."""
    command = [sys.executable, "-c", "from sift_server.commands import main; main()", "keys"]
    done = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done


def ping(channel: grpc.Channel) -> str:
    return ping_pb2_grpc.PingServiceStub(channel).Ping(ping_pb2.PingRequest(), timeout=10).response


def code_of(address: str, key: str) -> grpc.StatusCode:
    with plain_channel(address, key) as channel:
        try:
            ping(channel)
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK


def wait_for(expected: grpc.StatusCode, address: str, key: str) -> None:
    until_s = time.monotonic() + SECONDS_TO_FOLLOW
    while (code := code_of(address, key)) is not expected:
        assert time.monotonic() < until_s, code
        time.sleep(0.05)


def test_a_running_server_follows(tmp_path: Path):
    """A key is good within a second of its making, and for nothing after its revocation."""
    folder = tmp_path / "data"
    with serving(folder) as server:
        made = keys("create", "stand 3", "--scope", "read", "--data-dir", str(folder))
        key = made.stdout.strip()
        assert re.fullmatch(r"sift_[0-9a-f]{12}_[\w-]{43}", key)
        assert key not in made.stderr
        wait_for(grpc.StatusCode.OK, server.address, key)
        with plain_channel(server.address, key) as channel, pytest.raises(grpc.RpcError) as caught:
            runs_pb2_grpc.RunServiceStub(channel).CreateRun(runs_pb2.CreateRunRequest(name="a"))
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
        listed = keys("list", "--json", "--data-dir", str(folder))
        (document,) = json.loads(listed.stdout)
        assert (document["name"], document["scopes"], document["state"]) == (
            "stand 3", ["read"], "good",
        )  # fmt: skip
        assert key not in listed.stdout
        keys("revoke", document["id"], "--data-dir", str(folder))
        wait_for(grpc.StatusCode.UNAUTHENTICATED, server.address, key)
        assert code_of(server.address, server.api_key) is grpc.StatusCode.OK
    assert "revoked" in keys("list", "--data-dir", str(folder)).stdout
    with serving(folder) as server:
        assert code_of(server.address, key) is grpc.StatusCode.UNAUTHENTICATED


def test_keys_are_made_while_nobody_serves(tmp_path: Path):
    """They are read and write if nothing is said, and expire when it is."""
    folder = tmp_path / "data"
    with serving(folder) as server:
        server.stop()
    made = keys("create", "a", "--expires", "30d", "--json", "--data-dir", str(folder))
    document = json.loads(made.stdout)
    assert document["scopes"] == ["read", "write"]
    assert document["expires"] > document["created"]
    with serving(folder) as server:
        assert code_of(server.address, document["key"]) is grpc.StatusCode.OK


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["create", "a", "--data-dir", "nowhere"], 1, "nowhere is no data folder"),
        (["list", "--data-dir", "nowhere"], 1, "nowhere is no data folder"),
        (["create", "a", "--expires", "soon"], 2, "such as 30d"),
        (["create", "a", "--scope", "root"], 2, "root"),
        (["create", ""], 1, "printable"),
        (["revoke", "nobody"], 1, "'nobody'"),
        (["create"], 2, "NAME"),
    ],
)
def test_a_mistake_gets_a_sentence(tmp_path: Path, arguments: list[str], status: int, words: str):
    """No traceback, and no folder is made."""
    if "--data-dir" in arguments:
        arguments = [*arguments[:-1], str(tmp_path / arguments[-1])]
    else:
        with serving(tmp_path / "data") as server:
            server.stop()
        arguments = [*arguments, "--data-dir", str(tmp_path / "data")]
    done = keys(*arguments, status=status)
    assert words in re.sub(r"\s*\n[│ ]*", " ", done.stderr).replace(str(tmp_path) + "/", "")
    assert not (tmp_path / "nowhere").exists()


def test_no_key_is_in_what_is_kept_or_logged(tmp_path: Path):
    """Neither in the log, nor in any file but the one that is for it."""
    folder = tmp_path / "data"
    with serving(folder) as server:
        key = keys("create", "a", "--data-dir", str(folder)).stdout.strip()
        wait_for(grpc.StatusCode.OK, server.address, key)
        keys("revoke", "a", "--data-dir", str(folder))
        wait_for(grpc.StatusCode.UNAUTHENTICATED, server.address, key)
        folder_key = server.api_key
        server.stop()
    secrets = [one.encode() for one in (key, key.split("_", 2)[2], folder_key)]
    assert not any(secret.decode() in server.log for secret in secrets)
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "api_key":
            content = path.read_bytes()
            assert not any(secret in content for secret in secrets), path


def test_a_stream_ends_with_the_first_chunk_after_its_key(server: Server, tmp_path: Path):
    """UNAUTHENTICATED, and nothing of what comes later is taken; what came before may be."""
    path = tmp_path / "telemetry" / "catalog.sqlite"
    with Catalog.open(path) as catalog:
        end_stream_by_revoking(server, catalog.api_keys)
    server.stop()
    with closing(sqlite3.connect(path)) as connection:
        rejected = connection.execute("SELECT ingestion_config_id FROM error_queue").fetchall()
    assert ("after",) not in rejected


def end_stream_by_revoking(server: Server, api_keys: ApiKeys) -> None:
    _, key = api_keys.create("writer", [Scope.WRITE])
    wait_for(grpc.StatusCode.PERMISSION_DENIED, server.address, key)
    refused = threading.Event()
    message = IngestWithConfigDataStreamRequest(ingestion_config_id="before", flow="f")
    late = IngestWithConfigDataStreamRequest(ingestion_config_id="after", flow="f")

    def messages() -> Iterator[IngestWithConfigDataStreamRequest]:
        yield message
        time.sleep(0.2)
        api_keys.revoke("writer")
        wait_for(grpc.StatusCode.UNAUTHENTICATED, server.address, key)
        refused.set()
        yield late

    with plain_channel(server.address, key) as channel:
        stub = IngestServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.IngestWithConfigDataStream(messages(), timeout=20)
    assert refused.is_set()
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert "'writer' was revoked" in caught.value.details()
