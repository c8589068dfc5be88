"""What statements may not do, and may not take."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from sift_server.errors import InvalidArgumentError, ResourceExhaustedError, ServerError
from sift_server.sql.limits import MIB, SqlLimits
from sql.conftest import Bench, open_bench

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SMALL = SqlLimits(
    working_ms_max=3_000,
    wait_ms_max=100,
    memory_bytes_max=64 * MIB,
    spill_bytes_max=MIB,
    statement_chars_max=20_000,
)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Bench]:
    made = open_bench(tmp_path, SMALL)
    yield made
    made.engine.close()


@pytest.mark.parametrize(
    "statement",
    [
        "COPY (SELECT 1) TO '/tmp/sift-sql-test.csv'",
        "ATTACH '/tmp/sift-sql-test.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "PRAGMA version",
        "SET memory_limit = '100GB'",
        "RESET memory_limit",
        "USE temp",
        "CALL pragma_version()",
        "CREATE TABLE mine AS SELECT 1",
        "CREATE MACRO f(x) AS x",
        "INSERT INTO runs VALUES (1)",
        "DELETE FROM runs",
        "UPDATE runs SET run = ''",
        "DROP VIEW points",
        "EXPORT DATABASE '/tmp/sift-sql-test'",
        "PREPARE p AS SELECT 1",
        "BEGIN",
        "CHECKPOINT",
        "VACUUM",
        "EXPLAIN DELETE FROM runs",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/sift-sql-test.csv'",
        "EXPLAIN (FORMAT json) SELECT 1",
        "WITH gone AS (DELETE FROM runs RETURNING *) FROM gone",
        "SELECT 1; SELECT 2",
        "SELECT 1; COPY (SELECT 1) TO '/tmp/sift-sql-test.csv'",
        "",
        "-- nothing",
        "SELECT $1",
        "PIVOT points ON channel USING max(value)",
        "SELECT * FROM (SHOW TABLES)",
        "SHOW DATABASES",
    ],
)
def test_nothing_but_reading_is_answered(bench: Bench, statement: str):
    with pytest.raises(InvalidArgumentError):
        bench.table(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "FROM read_csv('/etc/passwd')",
        "FROM read_text('/etc/passwd')",
        "FROM read_blob('/proc/self/environ')",
        "FROM read_parquet('{file}')",
        "FROM '{file}'",
        'FROM "{file}"',
        "FROM '/etc/passwd'",
        "FROM 'https://localhost/x.parquet'",
        "FROM glob('/*')",
        "FROM sniff_csv('/etc/passwd')",
        "FROM query('SELECT 1')",
        "FROM query_table(['runs'])",
        "FROM duckdb_settings()",
        "FROM duckdb_views()",
        "FROM duckdb_secrets()",
        "FROM pragma_database_list",
        "FROM information_schema.tables",
        "FROM system.main.duckdb_settings",
        "FROM sqlite_master",
        "FROM __raw",
        "FROM __once",
        "FROM json_execute_serialized_sql('x')",
        "SELECT getenv('HOME')",
        "SELECT current_setting('allowed_paths')",
        "SELECT json_serialize_plan('SELECT 1')",
        "SELECT system.main.current_setting('threads')",
        "SELECT sleep_ms(100000)",
        "SELECT (SELECT content FROM read_text('/etc/passwd'))",
        "SELECT 1 WHERE EXISTS (FROM read_csv('/etc/passwd'))",
        "SELECT * FROM points JOIN read_csv('/etc/passwd') ON true",
        "WITH a AS (FROM '/etc/passwd') FROM a",
        "SELECT list_transform([1], lambda x: getenv('HOME'))",
        "SELECT * FROM points ORDER BY getenv('HOME')",
        "SELECT count(*) FILTER (getenv('HOME') = '') FROM points",
        "SELECT sum(1) OVER (PARTITION BY getenv('HOME'))",
        "VALUES (getenv('HOME'))",
        "DESCRIBE FROM read_csv('/etc/passwd')",
        "DESCRIBE '/etc/passwd'",
        "SUMMARIZE '/etc/passwd'",
        "PIVOT (FROM read_csv('/etc/passwd')) ON x IN (1) USING max(y)",
        # The worker's own names, which Python's DuckDB would take for tables.
        "FROM asked",
        "FROM named",
    ],
)
def test_no_file_no_setting_and_no_inner_table_is_read(bench: Bench, statement: str):
    bench.publish([(0, [1.0, 0])])
    bench.store.flush()
    (file,) = bench.store.snapshot().files

    with pytest.raises(InvalidArgumentError):
        bench.table(statement.replace("{file}", str(file.path)))


def test_a_name_that_a_statement_gives_opens_no_file(bench: Bench):
    """Outside of the part that gives it, the name is looked up anew."""
    for name in ("/etc/passwd", "/etc/hosts.csv", "information_schema"):
        with pytest.raises(InvalidArgumentError):
            bench.table(f'SELECT * FROM (WITH "{name}" AS (SELECT 1) FROM "{name}"), "{name}"')


@pytest.mark.parametrize(
    "statement",
    [
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT sum(n) FROM r",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n FROM r) SELECT sum(n) FROM r",
        "SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b",
    ],
)
def test_what_takes_too_long_ends(small: Bench, statement: str):
    began_s = time.monotonic()
    with pytest.raises(ResourceExhaustedError):
        small.table(statement)

    assert time.monotonic() - began_s < 20
    assert small.rows("SELECT 1") == [(1,)]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT sum(length(repeat('x', 1000000000))) FROM range(1000)",
        "SELECT length(repeat('x', 4000000000) || repeat('y', 4000000000))",
        "SELECT len(range(1000000000))",
        "SELECT list(range) FROM range(100000000)",
        "SELECT string_agg(range::VARCHAR, repeat(',', 1000)) FROM range(10000000)",
        "SELECT count(DISTINCT range) FROM range(100000000)",
        "SELECT * FROM range(100000000) ORDER BY hash(range)",
        "SELECT lpad('x', 2000000000, 'y') FROM range(100)",
        "WITH RECURSIVE r AS (SELECT 'x' AS s UNION ALL SELECT s || s FROM r)"
        " SELECT max(length(s)) FROM r",
    ],
)
def test_what_takes_too_much_memory_ends(small: Bench, statement: str):
    with pytest.raises(ResourceExhaustedError):
        small.table(statement)

    assert small.rows("SELECT 1") == [(1,)]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT " + "(" * 9_000 + "1" + ")" * 9_000,
        "SELECT " + "1 + " * 4_900 + "1",
        "SELECT " + "NOT " * 4_900 + "true",
        "SELECT " + "[" * 9_000 + "]" * 9_000,
        "SELECT * FROM " + "(SELECT * FROM " * 1_200 + "runs" + ")" * 1_200,
        "SELECT 1 " + "UNION ALL SELECT 1 " * 1_000,
        "SELECT '" + "x" * 30_000 + "'",
        "\0",
        "SELECT '\0'",
        "SELECT \ud800",
        "SELECT 'no end",
        "\U0001f680",
    ],
    ids=range(12),
)
def test_odd_statements_are_refused_or_answered(small: Bench, statement: str):
    try:
        small.table(statement)
    except ServerError as error:
        assert str(error)  # noqa: PT017
    assert small.rows("SELECT 1") == [(1,)]


def test_an_answer_of_any_size_is_streamed(small: Bench):
    _, batches = small.engine.query("SELECT range AS n, range * 2 AS m FROM range(1000000000)")
    with batches:
        rows = sum(next(batches).num_rows for _ in range(50))
    assert rows > 1_000_000


def test_only_so_many_statements_are_answered_at_a_time(small: Bench):
    held = [small.engine.query("FROM range(10000000)") for _ in range(SMALL.statements_max)]

    with pytest.raises(ResourceExhaustedError, match="2 statements at a time"):
        small.engine.query("SELECT 1")

    for _, batches in held:
        batches.close()
    assert small.rows("SELECT 1") == [(1,)]


def test_what_failed_makes_room(small: Bench):
    for _ in range(2 * SMALL.statements_max):
        with pytest.raises(InvalidArgumentError):
            small.table("SELEKT")
        with pytest.raises(InvalidArgumentError):
            small.table("FROM nothing")
    assert small.rows("SELECT 1") == [(1,)]


def test_an_error_in_the_middle_of_an_answer_is_told(small: Bench):
    _, batches = small.engine.query(
        "SELECT CASE WHEN range = 3000000 THEN error('here') ELSE '' END FROM range(4000000)"
    )
    with batches, pytest.raises(InvalidArgumentError, match="here"):
        for _ in batches:
            pass


def test_errors_say_where(bench: Bench):
    with pytest.raises(InvalidArgumentError) as caught:
        bench.table("SELECT 'ü',\n  sped FROM points")
    assert str(caught.value).splitlines()[-2:] == ["line 2:   sped FROM points", "          ^"]

    with pytest.raises(InvalidArgumentError) as caught:
        bench.table("SELECT 'ü', * FROM pointz")
    assert str(caught.value).splitlines() == [
        "there is no table pointz; SHOW TABLES lists what there is",
        "",
        "line 1: SELECT 'ü', * FROM pointz",
        "                           ^",
    ]


def test_closing_ends_what_is_under_way(bench: Bench):
    failed: list[BaseException] = []

    def ask() -> None:
        try:
            bench.table("SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b")
        except ResourceExhaustedError as error:
            failed.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(1)
    bench.engine.close()
    thread.join(10)

    assert not thread.is_alive()
    assert "stopping" in str(failed[0])
    with pytest.raises(ResourceExhaustedError):
        bench.table("SELECT 1")


_KILLED = """
import os, signal, sys
from pathlib import Path
from sift_server.catalog import Catalog
from sift_server.lake import PointStore
from sift_server.sql.engine import SqlEngine
folder = Path(sys.argv[1])
engine = SqlEngine(Catalog.open(folder / "catalog.sqlite"), PointStore.open(folder / "lake"))
_, batches = engine.query("FROM range(1000000000)")
next(batches)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_server_that_is_killed_leaves_no_process_and_no_folder(tmp_path: Path):
    (tmp_path / "tmp").mkdir()
    ended = subprocess.run(
        [sys.executable, "-c", _KILLED, str(tmp_path)],
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
        check=False,
    )

    assert ended.returncode == -signal.SIGKILL
    due_s = time.monotonic() + 20
    while list((tmp_path / "tmp").glob("sift-sql-*")) and time.monotonic() < due_s:
        time.sleep(0.1)
    assert not list((tmp_path / "tmp").glob("sift-sql-*"))


def test_statements_are_answered_from_several_threads(tmp_path: Path):
    bench = open_bench(tmp_path, SqlLimits(wait_ms_max=60_000))
    found: list[object] = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(bench.rows(f"SELECT {n}")))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bench.engine.close()

    assert sorted(found) == [[(n,)] for n in range(8)]
