"""Examines a catalog: whether SQLite can read it, and whether it agrees with itself and table."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from sift_server.catalog import CatalogSchemaError, tables
from sift_server.catalog.database import Database
from sift_server.catalog.error_room import read_totals
from sift_server.doctor.calculated_rows import CALCULATED_CHANNELS
from sift_server.doctor.findings import Finding, counted, note, problem
from sift_server.doctor.import_rows import imports_without_config, unreadable_imports
from sift_server.doctor.report_rows import rules_left_behind, unknown_jobs, unreadable_reports
from sift_server.doctor.rule_rows import RULES, unreadable_annotations

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sqlalchemy import Connection

    from sift_server.doctor.lake_names import LakeChannel
    from sift_server.doctor.versions import Versioned

_WHERE = "catalog.sqlite"
_COMPLAINTS_MAX = 3
_REBUILD = (
    "Repair sets it aside, and puts every row that can be read into a new one. It makes up for"
    " channels and assets that are lost with what flows and the table say of them; or restore a"
    " backup."
)


class LaterCatalogError(Exception):
    """The catalog is of a later version of the server; says so."""


@dataclass(slots=True)
class CatalogState:
    """A catalog as it was found.

    Attributes:
        version: Version of its tables; None if it can't be known.
        is_readable: Whether SQLite can read all of it.
        rows: How many rows each table has.
        queued: Position of the last message that the error queue ever had; 0 if it had none.
        findings: All that is wrong with it, in words.
    """

    version: int | None = None
    is_readable: bool = False
    rows: dict[str, int] = field(default_factory=dict)
    queued: int = 0
    findings: list[Finding] = field(default_factory=list)


def examine_catalog(copy: Path, lake_channels: Mapping[str, LakeChannel]) -> CatalogState:
    """Examine a copy of a catalog; the copy may be changed.

    Args:
        copy: The copy; see `copied_catalog`.
        lake_channels: Channels that the table has points of, by id.

    Raises:
        LaterCatalogError: A later version of the server wrote it.
    """
    state = CatalogState()
    if not copy.exists():
        state.findings.append(
            problem(
                _WHERE,
                "It is missing.",
                "Points are not readable through a server without their channels; and ingestion"
                " configs, runs, rules, calculated channels, annotations and API keys are lost.",
                _REBUILD,
            )
        )
        return state
    if complaints := _complaints(copy):
        state.findings.append(
            problem(
                _WHERE,
                f"SQLite can't read all of it: {'; '.join(complaints[:_COMPLAINTS_MAX])}.",
                "Some of what it says of assets, channels, configs, runs, rules and API keys, or"
                " of rejected messages, is lost or can't be found.",
                _REBUILD,
            )
        )
        state.queued = _queued_as_far_as_readable(copy)
        return state
    state.version = _version(copy)
    if state.version is not None and state.version > tables.SCHEMA_VERSION:
        raise LaterCatalogError(
            f"the catalog has tables of version {state.version}, and this program knows version"
            f" {tables.SCHEMA_VERSION}: use the 'sift doctor' of the server that wrote it"
        )
    try:
        database = Database.open(copy)
    except (SQLAlchemyError, CatalogSchemaError) as error:
        state.findings.append(
            problem(
                _WHERE,
                f"Its tables can't be used: {_short(error)}.",
                "A server does not start with it.",
                _REBUILD,
            )
        )
        return state
    if state.version is None:
        state.findings.append(
            problem(
                _WHERE,
                "It is a database without the tables of a catalog.",
                "Assets, channels, ingestion configs, runs, rules and API keys are lost.",
                _REBUILD,
            )
        )
    elif state.version < tables.SCHEMA_VERSION:
        state.findings.append(
            note(
                _WHERE,
                f"Its tables are of version {state.version}, older than {tables.SCHEMA_VERSION}.",
                "The next start of a server brings them up.",
            )
        )
    with closing(database), database.read() as connection:
        try:
            for table in tables.metadata.sorted_tables:
                count = connection.execute(select(func.count()).select_from(table)).scalar_one()
                state.rows[table.name] = int(count)
            state.findings += _disagreements(connection, lake_channels)
            state.queued = _queued(connection)
        except OperationalError as error:
            # Of rows all can be read, but what the tables say of each other makes no sense.
            state.findings.append(
                problem(
                    _WHERE,
                    f"Its tables can't be used: {_short(error)}.",
                    "Calls that need them fail.",
                    _REBUILD,
                )
            )
            return state
        except (SQLAlchemyError, ValueError, TypeError, KeyError) as error:
            state.findings.append(
                problem(
                    _WHERE,
                    f"Something in it is no value of its kind: {_short(error)}.",
                    "Calls that need it fail.",
                    _REBUILD,
                )
            )
    state.is_readable = True
    return state


def _complaints(copy: Path) -> list[str]:
    """What SQLite says when it checks everything; nothing if all is well."""
    try:
        with closing(sqlite3.connect(copy)) as connection:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check(20)")]
    except (sqlite3.DatabaseError, sqlite3.OperationalError) as error:
        return [str(error)]
    return [] if found == ["ok"] else [line for text in found for line in str(text).splitlines()]


def _version(copy: Path) -> int | None:
    with closing(sqlite3.connect(copy)) as connection:
        try:
            row = connection.execute("SELECT version FROM schema_version").fetchone()
        except sqlite3.OperationalError:
            return None
    return row[0] if row and isinstance(row[0], int) else None


def _disagreements(
    connection: Connection, lake_channels: Mapping[str, LakeChannel]
) -> Iterator[Finding]:
    orphans: dict[tuple[str, str], int] = {}
    for table, _, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        orphans[table, parent] = orphans.get((table, parent), 0) + 1
    for (table, parent), count in orphans.items():
        yield problem(
            _WHERE,
            f"{counted(count, 'row')} of {table} belong to rows of {parent} that are not there.",
            "Calls that need them fail or do not find them.",
            _REBUILD,
        )
    known = set(connection.execute(select(tables.channels.c.channel_id)).scalars())
    unknown = unreadable = 0
    for document in connection.execute(select(tables.flows.c.channels_json)).scalars():
        ids = _ids_of_flow(document)
        unreadable += ids is None
        unknown += len(set(ids or ()) - known)
    if unreadable:
        yield problem(
            _WHERE,
            f"What {counted(unreadable, 'flow')} are made of can't be read.",
            "Messages of these flows are not taken, and go into the error queue.",
            _REBUILD,
        )
    if unknown:
        yield problem(
            _WHERE,
            f"{counted(unknown, 'channel')} of flows are not in the table of channels.",
            "Their points are taken, but can't be read through a server.",
            _REBUILD,
        )
    lost = sorted(set(lake_channels) - known)
    if lost:
        first = lake_channels[lost[0]]
        yield problem(
            _WHERE,
            f"It does not have {counted(len(lost), 'channel')} that the table has points of,"
            f" {first.name!r} of {first.asset!r} for example.",
            "Their points can't be read through a server. The catalog is older than the table, or"
            " a part of it is lost.",
            _REBUILD,
        )
    totals = read_totals(connection)
    queue = tables.error_queue
    count = connection.execute(select(func.count()).select_from(queue)).scalar_one()
    if totals.kept_messages != count:
        yield problem(
            _WHERE,
            f"The error queue has {counted(int(count), 'message')}, but its sum says"
            f" {totals.kept_messages:,}.",
            "Messages may be dropped from it too early, or too late.",
            _REBUILD,
        )
    yield from _of_rules(connection)
    yield from _of_calculated_channels(connection)
    yield from _of_reports(connection)
    yield from _of_imports(connection)
    rejected = [
        each
        for (each,) in connection.execute(select(tables.json_rules.c.rules_json))
        if not _is_json(each)
    ]
    if rejected:
        yield problem(
            _WHERE,
            f"The rules of {counted(len(rejected), 'asset')} can't be read.",
            "Rules of these assets are lost.",
            _REBUILD,
        )


def _of_rules(connection: Connection) -> Iterator[Finding]:
    yield from _of_versions(
        connection,
        RULES,
        ("version of a rule", "versions of rules", "rule"),
        "Calls that need them fail, and no rule is evaluated.",
        "They are not found, and not evaluated.",
    )
    annotations = unreadable_annotations(connection)
    if annotations:
        yield problem(
            _WHERE,
            f"The channels of {counted(len(annotations), 'annotation')} can't be read.",
            "Calls that need these annotations fail.",
            _REBUILD,
        )


def _of_calculated_channels(connection: Connection) -> Iterator[Finding]:
    yield from _of_versions(
        connection,
        CALCULATED_CHANNELS,
        (
            "version of a calculated channel",
            "versions of calculated channels",
            "calculated channel",
        ),
        "Calls that need them fail, and rules that name them are not evaluated.",
        "They are not found.",
    )


def _of_versions(
    connection: Connection,
    versioned: Versioned,
    names: tuple[str, str, str],
    without_text: str,
    without_version: str,
) -> Iterator[Finding]:
    """What is wrong with rows that have versions.

    Args:
        connection: The catalog.
        versioned: Their tables.
        names: What to call a version, several of them, and a row that has them.
        without_text: What versions mean that can't be read.
        without_version: What rows mean whose newest version is gone.
    """
    one, several, thing = names
    versions = versioned.unreadable(connection)
    if versions:
        what = f"{counted(len(versions), one, several)} can't be read."
        yield problem(_WHERE, what, without_text, _REBUILD)
    lost = versioned.without_version(connection)
    if lost:
        what = f"{counted(len(lost), thing)} have no newest version."
        yield problem(_WHERE, what, without_version, _REBUILD)


def _of_imports(connection: Connection) -> Iterator[Finding]:
    for what, lost in (
        ("warnings", unreadable_imports(connection)),
        ("config", imports_without_config(connection)),
    ):
        if lost:
            yield problem(
                _WHERE,
                f"The {what} of {counted(len(lost), 'data import')} can't be read.",
                "Calls that need these data imports fail.",
                _REBUILD,
            )


def _of_reports(connection: Connection) -> Iterator[Finding]:
    reports, jobs = unreadable_reports(connection), unknown_jobs(connection)
    if reports:
        yield problem(
            _WHERE,
            f"The tags for annotations of {counted(len(reports), 'report')} can't be read.",
            "Calls that need these reports fail.",
            _REBUILD,
        )
    if jobs:
        yield problem(
            _WHERE,
            f"The status of {counted(len(jobs), 'job')} is none.",
            "Calls that need these jobs fail.",
            _REBUILD,
        )
    left = rules_left_behind(connection)
    if left:
        yield problem(
            _WHERE,
            f"{counted(len(left), 'rule of a report', 'rules of reports')} will never end.",
            "Whoever waits for these reports waits for ever.",
            _REBUILD,
        )


def _ids_of_flow(document: str) -> list[str] | None:
    try:
        return [channel[0] for channel in json.loads(document)]
    except (ValueError, TypeError, IndexError, KeyError):
        return None


def _is_json(text: Any) -> bool:  # noqa: ANN401 (as the database has it)
    try:
        json.loads(text)
    except (ValueError, TypeError):
        return False
    return True


def _queued(connection: Connection) -> int:
    position = connection.execute(select(func.max(tables.error_queue.c.position))).scalar_one()
    dropped, _ = read_totals(connection).dropped_until
    return max(position or 0, dropped, 0)


def _queued_as_far_as_readable(copy: Path) -> int:
    try:
        with closing(sqlite3.connect(copy)) as connection:
            row = connection.execute("SELECT max(position) FROM error_queue").fetchone()
    except sqlite3.DatabaseError:
        return 0
    return row[0] if row and isinstance(row[0], int) else 0


def _short(error: BaseException) -> str:
    return str(error).partition("\n")[0][:200]
