"""Files that say themselves what is in them, of which a config selects channels, or takes all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from sift_server.api.import_configs.channels import channel_of, channels_of, column_of
from sift_server.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sift.common.type.v1.channel_config_pb2 import ChannelConfig as ChannelMessage
    from sift_files import ColumnPlan, FilePlan, TablePlan
    from sift_server.catalog import ChannelConfig


class Selected(NamedTuple):
    """A channel that a config names.

    Attributes:
        path: Of its column, as `sift_files` has it.
        where: What it is, for messages.
        message: What the config says of it; without a name, it gets the one that it would have.
    """

    path: str
    where: str
    message: ChannelMessage


def select(
    found: FilePlan,
    selected: Sequence[Selected],
    default_name: Callable[[ColumnPlan], str],
) -> tuple[FilePlan, dict[str, ChannelConfig]]:
    """The plan of what is selected, of all if nothing is, and its channels.

    Raises:
        InvalidArgumentError: The file has no such channel; two have one name.
    """
    if not selected:
        all_tables = tuple(
            replace(
                table,
                columns=tuple(replace(one, channel=default_name(one)) for one in table.wanted),
            )
            for table in found.tables
        )
        check_unique(column.channel for table in all_tables for column in table.columns)
        plan = found.with_tables(all_tables)
        return plan, channels_of(column for table in all_tables for column in table.columns)
    wanted = {one.path: one for one in selected}
    channels: dict[str, ChannelConfig] = {}
    tables = []
    for table in found.tables:
        columns = []
        for column in table.columns:
            one = wanted.pop(column.path, None)
            if one is not None:
                if not one.message.name:
                    one.message.name = default_name(column)
                channel = channel_of(one.message, one.where)
                check_unique([*channels, channel.fqn])
                channels[channel.fqn] = channel
                columns.append(column_of(channel, column.path, column.name))
        if columns:
            tables.append(replace(table, columns=tuple(columns)))
    if wanted:
        missing = next(iter(wanted.values()))
        raise InvalidArgumentError(f"the file has no {missing.where}")
    return found.with_tables(tuple(tables)), channels


def check_unique(names: Iterable[str]) -> None:
    """Check that channels have names of their own.

    Raises:
        InvalidArgumentError: Two have the same.
    """
    seen = set()
    for name in names:
        if name in seen:
            raise InvalidArgumentError(
                f"two columns would be the channel {name!r}; give them names of their own"
            )
        seen.add(name)


def untimed(tables: Iterable[TablePlan]) -> list[str]:
    """The columns whose times are not known."""
    return [one.path for table in tables if table.time is None for one in table.wanted]
