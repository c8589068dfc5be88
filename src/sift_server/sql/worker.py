"""The process of one statement: DuckDB, with a limit of memory that the system keeps.

A program of its own, not part of the server: what a statement does to it, the server does not
feel. It says what the statement names, gets tables for that, answers, and ends. It ends as well
when the server is gone. Of the server's files it opens those of the table of points, which DuckDB
is told, and no others.
"""

from __future__ import annotations

import json
import mmap
import os
import resource
import shutil
import socket
import sys
from typing import Any

import duckdb
import pyarrow as pa

from sift_server.sql.channel import Channel, ChannelClosedError, Frame
from sift_server.sql.limits import MEMORY_STATUS
from sift_server.sql.statement import StatementError, check

_BATCH_ROWS = 64 * 1024
_EXPRESSION_DEPTH_MAX = 500

_NS = """
CREATE MACRO ns(moment) AS epoch_us(moment::TIMESTAMPTZ) * 1000
    + (epoch_ns(moment::TIMESTAMP_NS) % 1000 + 1000) % 1000
"""
"""Nanoseconds since 1970 of a moment in words. One type of DuckDB's heeds the offset from UTC, the
other one has nanoseconds."""


def main(spill_folder: str) -> None:
    """Answer one statement from the socket that is standard input.

    Args:
        spill_folder: Where may be written what the memory has no room for; removed in the end.
    """
    channel = Channel(socket.socket(fileno=0))
    try:
        _, data, _ = channel.receive()
        asked = {**json.loads(data), "spill_folder": spill_folder}
        _limit(asked)
        _answer(channel, asked)
    except ChannelClosedError:
        # The server is gone.
        pass
    finally:
        shutil.rmtree(spill_folder, ignore_errors=True)


def _limit(asked: dict[str, Any]) -> None:
    """Let the system refuse memory beyond the limit, and end what goes on for ever."""
    # What DuckDB counts itself, and as much again for what it does not: long strings, mostly.
    more = 2 * asked["memory_bytes_max"]
    room = _data_bytes() + more
    resource.setrlimit(resource.RLIMIT_DATA, (room, room))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    cpu_s = asked["cpu_s_max"]
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))


def _data_bytes() -> int:
    with open("/proc/self/status", encoding="ascii") as file:  # noqa: PTH123 (no path is needed)
        lines = dict(line.split(":", 1) for line in file)
    return int(lines["VmData"].split()[0]) * 1_024


def _answer(channel: Channel, asked: dict[str, Any]) -> None:
    statement = asked["statement"]
    try:
        connection = _connect(asked)
        named = check(
            statement,
            lambda text: [each.type.name for each in connection.extract_statements(text)],
            lambda text: _only(connection, "SELECT json_serialize_sql($1)", text),
        )
        channel.send_document(
            Frame.NAMES,
            {
                "tables": named.tables,
                "words": None if named.words is None else sorted(named.words),
                "shows_tables": named.shows_tables,
            },
        )
        _make_tables(channel, connection)
        if named.shows_tables:
            statement = "FROM tables"
        _give(channel, _relation(connection, statement).to_arrow_reader(_BATCH_ROWS))
    except StatementError as error:
        _fail(channel, "statement", str(error), error.place)
    except (duckdb.Error, pa.ArrowException, OSError, RuntimeError, UnicodeError) as error:
        _fail(channel, *_said(error, statement))
    except MemoryError:
        _fail(channel, "memory", "")
    else:
        channel.send(Frame.END)


def _only(connection: Any, query: str, text: str) -> str:  # noqa: ANN401 (has no types here)
    ((value,),) = connection.execute(query, [text]).fetchall()
    return str(value)


def _connect(asked: dict[str, Any]) -> Any:  # noqa: ANN401 (has no types here)
    mib = 1024 * 1024
    connection = duckdb.connect(
        ":memory:",
        config={
            "allow_community_extensions": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "errors_as_json": True,
            "max_expression_depth": _EXPRESSION_DEPTH_MAX,
            "max_temp_directory_size": f"{asked['spill_bytes_max'] // mib}MiB",
            "memory_limit": f"{asked['memory_bytes_max'] // mib}MiB",
            "python_enable_replacements": False,
            "temp_directory": asked["spill_folder"],
            "threads": asked["threads"],
        },
    )
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(_NS)
    return connection


def _make_tables(channel: Channel, connection: Any) -> None:  # noqa: ANN401
    """Make what the statement names, and then open nothing else."""
    files: list[int] = []
    frame, data, more = channel.receive()
    while frame is Frame.FILES:
        files += more
        frame, data, more = channel.receive()
    made = json.loads(data)
    for name, file in zip(made["tables"], files, strict=True):
        # It stays mapped for as long as the table is there.
        mapped = mmap.mmap(file, 0, access=mmap.ACCESS_READ)
        os.close(file)
        connection.register(name, pa.ipc.open_stream(pa.py_buffer(mapped)).read_all())
    for statement in made["statements"]:
        connection.execute(statement)
    paths = ", ".join("'" + each.replace("'", "''") + "'" for each in made["paths"])
    connection.execute(f"SET allowed_paths = [{paths}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _relation(connection: Any, statement: str) -> Any:  # noqa: ANN401
    try:
        return connection.sql(statement)
    except duckdb.BinderException:
        # This way it says where.
        connection.execute(statement).fetchall()
        raise


def _give(channel: Channel, reader: Any) -> None:  # noqa: ANN401
    channel.send(Frame.BATCH, _stream(reader.schema, ()))
    for batch in reader:
        channel.send(Frame.BATCH, _stream(reader.schema, (batch,)))


def _stream(schema: Any, batches: Any) -> Any:  # noqa: ANN401
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return memoryview(sink.getvalue())


def _said(error: Exception, statement: str) -> tuple[str, str, int | None]:
    """What kind of error it is, its words, and where in the statement."""
    kind, message = _kind(type(error).__name__), str(error)
    try:
        # Behind the kind of error. Through Arrow's stream it comes as an error of Arrow's.
        said = json.loads(message[message.index("{") :])
        message, position = said["exception_message"], said.get("position")
        kind = _kind(said["exception_type"])
    except (ValueError, KeyError, TypeError):
        return kind, message, None
    if position is None:
        return kind, message, None
    return kind, message, len(statement.encode()[: int(position)].decode(errors="replace"))


def _kind(name: str) -> str:
    plain = name.lower().replace(" ", "")
    if "memory" in plain:
        return "memory"
    return "internal" if plain.startswith(("internal", "fatal")) else "statement"


def _fail(channel: Channel, kind: str, message: str, place: int | None = None) -> None:
    channel.send_document(Frame.ERROR, {"kind": kind, "message": message, "place": place})


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except MemoryError:
        os._exit(MEMORY_STATUS)
    # Not as the interpreter ends, which waits for what other threads are at.
    os._exit(0)
