"""Examines a folder that is not served: its files, its log, its table and its catalog."""

from __future__ import annotations

import stat
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sift_server.data_dir import FORMAT_VERSION, DataDirectoryError
from sift_server.doctor.catalog_check import CatalogState, examine_catalog
from sift_server.doctor.catalog_copy import copied_catalog
from sift_server.doctor.findings import Finding, Level, Report, counted, note, problem, sized
from sift_server.doctor.lake_check import LakeState, examine_lake
from sift_server.doctor.lake_names import lake_channels
from sift_server.doctor.log_check import log_findings
from sift_server.doctor.log_state import LogState, read_log
from sift_server.doctor.unknown_flows import unknown_flow_findings
from sift_server.ingest.acknowledged import is_keys_file_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sift_server.doctor.lake_names import LakeChannel

UNFINISHED = "repairing"
"""A file that is there while a folder is repaired."""

_NEVER_SERVED = note(
    "log",
    "No server was ever ready on this folder: nothing is in it.",
    "The next start makes what is missing.",
)

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Examination:
    """All that is known of a folder.

    Attributes:
        report: What was found, in words.
        folder_findings: What was found about the small files.
        log: The log.
        log_findings: What is wrong with it.
        lake: The table.
        catalog: The catalog.
        lake_channels: Channels that the table has points of, by id; empty of a quick examination.
    """

    report: Report
    folder_findings: tuple[Finding, ...]
    log: LogState
    log_findings: tuple[Finding, ...]
    lake: LakeState
    catalog: CatalogState
    lake_channels: dict[str, LakeChannel]


def examine(
    path: Path, *, is_quick: bool = False, advance: Callable[[int], None] = lambda _: None
) -> Examination:
    """Examine a folder, and only read it. The caller sees to it that nobody serves it.

    Args:
        path: The folder.
        is_quick: Whether to read of the table's files what they say of themselves, and not all
            bytes.
        advance: Told how many bytes of the table's files and the log were read, of
            `bytes_to_read`.

    Raises:
        DataDirectoryError: It is no data folder, or a later version of the server made it.
        LaterCatalogError: A later version of the server wrote its catalog.
        OSError: A file can't be read, or there is no room for a copy of the catalog.
    """
    require_data_folder(path)
    small = tuple(_small_files(path))
    lake = examine_lake(path / "lake", is_quick=is_quick, advance=advance)
    channels = {}
    if not is_quick:
        damaged = {path for path, health in lake.health.items() if not health.row_groups}
        whole = [path / "lake" / name for name in lake.log.files if name not in damaged]
        channels = lake_channels(whole)
    log = read_log(path / "log", lake.log.position, advance)
    with copied_catalog(path / "catalog.sqlite") as copy:
        catalog = examine_catalog(copy, channels)
        flows: tuple[Finding, ...] = ()
        if catalog.is_readable and log.end > lake.log.position:
            flows = tuple(unknown_flow_findings(log, lake.log.position, copy))
    found = (*log_findings(log, lake.log.position, catalog.queued), *flows)
    if _never_served(log, lake, catalog):
        found, lake.findings, catalog.findings = (_NEVER_SERVED,), [], []
    report = Report(
        (*small, *found, *lake.findings, *catalog.findings), _amounts(log, lake, catalog)
    )
    return Examination(report, small, log, found, lake, catalog, channels)


def require_data_folder(path: Path) -> None:
    """See that a folder is one of a server.

    Raises:
        DataDirectoryError: It is not.
    """
    if not path.is_dir():
        raise DataDirectoryError(f"there is no folder {path}")
    if not any((path / name).exists() for name in ("format", "log", "lake", "catalog.sqlite")):
        raise DataDirectoryError(f"{path} is not the folder of a server: it has none of its files")


def bytes_to_read(path: Path) -> int:
    """About how many bytes an examination reads that is not quick."""
    total = 0
    for part in (path / "lake", path / "log"):
        for file in part.rglob("*.*"):
            if file.suffix in (".parquet", ".log"):
                with suppress(OSError):
                    total += file.stat().st_size
    return total


def _never_served(log: LogState, lake: LakeState, catalog: CatalogState) -> bool:
    """Whether the first start of a server ended before it was ready; the log is made last."""
    is_empty = not log.segments and not log.odd and not lake.log.files and not lake.leftovers
    return (
        is_empty
        and not lake.log.position
        and not any(count for table, count in catalog.rows.items() if table != "schema_version")
    )


def _small_files(path: Path) -> Iterator[Finding]:
    if (path / UNFINISHED).exists():
        yield problem(
            UNFINISHED,
            "A repair was interrupted.",
            "What it would have brought back is not there.",
            "Repair does all of it again.",
        )
    yield from _format(path / "format")
    yield from _api_key(path / "api_key")
    keys = path / "keys"
    if keys.exists() and not is_keys_file_whole(keys.read_bytes()):
        yield problem(
            "keys",
            "The idempotency keys of batches that were acknowledged can't be read.",
            "A batch that a client sends again is taken again, which changes no point.",
            "Repair sets the file aside; the server makes a new one.",
        )


def _format(path: Path) -> Iterator[Finding]:
    try:
        text = path.read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        text = ""
    if text.isdecimal() and int(text) > FORMAT_VERSION:
        raise DataDirectoryError(
            f"{path.parent} has format {text}; this program knows format {FORMAT_VERSION}. Use the"
            " 'sift doctor' of the server that made it"
        )
    if text != str(FORMAT_VERSION):
        yield problem(
            "format",
            f"It should say {FORMAT_VERSION}, the version of the folder's layout, and says"
            f" {text[:20]!r}.",
            "A server does not start with it, unless it is missing.",
            "Repair writes it again.",
        )


def _api_key(path: Path) -> Iterator[Finding]:
    try:
        key = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        yield note(
            "api_key",
            "There is no key that is good for everything.",
            "The next start makes a new one, if SIFT_API_KEY is not set.",
        )
        return
    except ValueError:
        key = ""
    if not key.isprintable() or not key:
        yield problem(
            "api_key",
            "It has no key in it that a caller could send.",
            "A server does not start with an empty one. Clients that know the key need the one"
            " that the next start makes, if it can't be restored.",
            "Write the key into it, if you have it. Repair sets the file aside.",
        )
    elif stat.S_IMODE(path.stat().st_mode) & _OTHERS:
        yield problem(
            "api_key",
            "Others than its owner may read or write it.",
            "Whoever read it can read and write everything here.",
            "Repair closes it to others. If somebody may have read it, delete it, to have another"
            " one made.",
        )


def _amounts(log: LogState, lake: LakeState, catalog: CatalogState) -> dict[str, str]:
    ahead = log.end - lake.log.position
    records = sum(each.records for each in log.segments)
    return {
        "log": f"{counted(len(log.segments), 'segment')},"
        f" {sized(sum(each.size_bytes for each in log.segments))},"
        f" {counted(records, 'record')} up to position {log.end},"
        f" {sized(max(0, ahead))} of it ahead of the table",
        "lake": f"version {max(0, lake.log.newest)}, {counted(len(lake.log.files), 'file')},"
        f" {sized(lake.size_bytes)}, {counted(lake.points, 'point')}, up to position"
        f" {lake.log.position}",
        "catalog": f"version {catalog.version or 'unknown'}, "
        + ", ".join(
            counted(catalog.rows.get(table, 0), one)
            for table, one in (
                ("assets", "asset"),
                ("channels", "channel"),
                ("runs", "run"),
                ("error_queue", "rejected message"),
            )
        ),
    }


def has_problem(findings: tuple[Finding, ...]) -> bool:
    """Whether one of them is a problem."""
    return any(each.level is Level.PROBLEM for each in findings)
