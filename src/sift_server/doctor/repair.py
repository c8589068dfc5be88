"""Mends a folder, part by part, each on what the one before it rests on."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sift_server.data_dir import FORMAT_VERSION
from sift_server.doctor.aside import Aside
from sift_server.doctor.catalog_repair import mend_catalog
from sift_server.doctor.examination import UNFINISHED, Examination, examine, has_problem
from sift_server.doctor.findings import counted, sized
from sift_server.doctor.lake_repair import mend_lake
from sift_server.doctor.log_repair import mend_log
from sift_server.lake.delta_log import sync_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_OWNER_ONLY = 0o600


@dataclass(frozen=True, slots=True)
class Repair:
    """What a repair did.

    Attributes:
        done: What was done and what is lost, in sentences.
        set_aside: Folder of what was taken out; None if nothing was.
        after: The folder as it is now.
    """

    done: tuple[str, ...]
    set_aside: Path | None
    after: Examination


def repair(
    path: Path, found: Examination, advance: Callable[[int], None] = lambda _: None
) -> Repair:
    """Mend what can be mended without inventing data. A sound folder is not touched.

    The caller sees to it that nobody serves the folder meanwhile. If it is interrupted, it can be
    done again.

    Args:
        path: The folder.
        found: What an examination that was not quick found.
        advance: Told how many bytes the examinations behind it read.

    Raises:
        OSError: A file can't be read, written or moved.
    """
    aside = Aside(path, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()))
    done: list[str] = []
    after = found
    if not found.report.is_sound:
        # What one step of a repair mended would not be known to the next examination.
        (path / UNFINISHED).touch()
        sync_folder(path)
        done += _mend_small_files(path, found, aside)
        log_is_wrong = has_problem(found.log_findings)
        lake_is_wrong = has_problem(tuple(found.lake.findings))
        if lake_is_wrong or (log_is_wrong and found.lake.leftovers):
            done += mend_lake(found.lake, aside)
            after = examine(path, advance=advance)
        if after.catalog.findings and has_problem(tuple(after.catalog.findings)):
            catalog = path / "catalog.sqlite"
            done += mend_catalog(catalog, after.catalog, after.lake_channels, aside)
            after = examine(path, advance=advance)
        if (
            any(each.is_mendable for each in after.log_findings)
            or lake_is_wrong
            or UNFINISHED in {each.where for each in found.folder_findings}
        ):
            done += mend_log(path, after.log, after.catalog.queued, aside)
        (path / UNFINISHED).unlink()
        sync_folder(path)
        after = examine(path, advance=advance)
    if after.report.is_sound and after.lake.leftovers:
        done.append(_remove_leftovers(after))
        after = examine(path, advance=advance)
    return Repair(tuple(done), aside.path if aside.is_used else None, after)


def _mend_small_files(path: Path, found: Examination, aside: Aside) -> list[str]:
    done = []
    for finding in found.folder_findings:
        file = path / finding.where
        if not finding.is_mendable or finding.where == UNFINISHED:
            continue
        if finding.where == "format":
            aside.move(file)
            with file.open("w", encoding="ascii") as written:
                written.write(f"{FORMAT_VERSION}\n")
                written.flush()
                os.fsync(written.fileno())
            sync_folder(path)
            done.append(f"format: it says {FORMAT_VERSION} again.")
        elif finding.where == "api_key" and file.read_bytes().strip() and _is_text(file):
            file.chmod(_OWNER_ONLY)
            done.append("api_key: it is closed to others than its owner.")
        else:
            aside.move(file)
            done.append(f"{finding.where}: it was set aside; the server makes a new one.")
    return done


def _is_text(path: Path) -> bool:
    try:
        return path.read_text(encoding="utf-8").strip().isprintable()
    except ValueError:
        return False


def _remove_leftovers(found: Examination) -> str:
    folder = found.lake.folder
    for name in found.lake.leftovers:
        (folder / name).unlink()
        sync_folder((folder / name).parent)
    count, size = len(found.lake.leftovers), sum(found.lake.leftovers.values())
    return f"lake: {counted(count, 'file')} of {sized(size)} that no commit names were removed."
