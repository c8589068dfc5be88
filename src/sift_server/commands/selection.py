"""What the options of a command select, as filters of the protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift_py._internal.lists import any_of
from sift_server.catalog.moments import duration_ns, timestamp_ns
from sift_server.commands.connection import FAILED, WRONG_USE, end
from sift_server.errors import InvalidArgumentError
from sift_server.readback.names import find_assets, find_runs, list_rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sift.assets.v1.assets_pb2 import Asset
    from sift.rules.v1.rules_pb2 import Rule
    from sift.runs.v2.runs_pb2 import Run
    from sift_py.grpc.transport import SiftChannel


def annotation_filter(
    channel: SiftChannel,
    command: str,
    assets: Sequence[str],
    run: str,
    rules: Sequence[str],
    more: str,
) -> str:
    """A filter of annotations; ends the command if something that is named is not there."""
    parts = []
    if assets:
        ids = [asset_of(channel, command, name).asset_id for name in assets]
        parts.append(any_of("asset_id", ids))
    if run:
        parts.append(any_of("run_id", [one.run_id for one in runs_of(channel, command, run)]))
    if rules:
        found = rules_of(channel, command, rules)
        parts.append(any_of("rule_id", [one.rule_id for one in found]))
    if more:
        parts.append(f"({more})")
    return " && ".join(parts)


def asset_of(channel: SiftChannel, command: str, name: str) -> Asset:
    """The asset of a name; ends the command if there is none."""
    found = find_assets(channel, name)
    if not found:
        end(command, f"there is no asset {name!r}", FAILED)
    return found[0]


def runs_of(channel: SiftChannel, command: str, run: str) -> list[Run]:
    """The runs of a name, id or client key; ends the command if there is none."""
    found = find_runs(channel, run)
    if not found:
        end(command, f"there is no run {run!r}", FAILED)
    return found


def run_of(channel: SiftChannel, command: str, run: str) -> Run:
    """The run of a name, id or client key; ends the command if there is not exactly one."""
    found = runs_of(channel, command, run)
    if len(found) > 1:
        ids = ", ".join(one.run_id for one in found[:5])
        end(command, f"{len(found)} runs have the name {run!r}; give the id of one: {ids}", FAILED)
    return found[0]


def rules_of(channel: SiftChannel, command: str, names: Sequence[str]) -> list[Rule]:
    """The rules of some names, deleted ones too; ends the command if there is none of a name."""
    # A filter that names the date takes those that were deleted, too.
    either = "(deleted_date == null || deleted_date != null)"
    found = list_rules(channel, f"{any_of('name', names)} && {either}")
    for name in names:
        if all(one.name != name for one in found):
            end(command, f"there is no rule {name!r}", FAILED)
    return found


def time_ns(command: str, option: str, text: str | None) -> int | None:
    """A time that somebody typed; ends the command if it is none."""
    if text is None:
        return None
    try:
        return timestamp_ns(text)
    except InvalidArgumentError:
        end(
            command,
            f"{option} takes a time such as 2026-01-31T12:00:00.5Z, not {text!r}",
            WRONG_USE,
        )


def sample_ms(command: str, text: str | None) -> int | None:
    """The time of `--sample` in milliseconds; ends the command if it is none."""
    if text is None:
        return None
    try:
        milliseconds, rest = divmod(duration_ns(text), 1_000_000)
    except InvalidArgumentError:
        milliseconds, rest = 0, 0
    if milliseconds <= 0 or rest:
        end(
            command,
            f"--sample takes whole milliseconds such as 100ms or 1m, not {text!r}",
            WRONG_USE,
        )
    return milliseconds
