"""Blocks: consecutive rows of one flow, which are checked and serialised together.

What has to be done for a row takes longer than what has to be done for its few values, and most of
it can be done for many rows at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

BLOCK_VALUES = 2048
"""A block that has so many values, timestamps included, gets no more rows.

Enough to do things in bulk, and few enough for a processor's cache.
"""

_LISTS = (list, tuple)


@dataclass(slots=True)
class Block:
    """Rows of one flow, one at least.

    Attributes:
        flow_name: Name of the flow.
        timestamps: One for each row.
        rows: Values of each row.
        size: How many values there are, timestamps included.
    """

    flow_name: str
    timestamps: list[Any]
    rows: list[tuple[Any, ...]]
    size: int


def blocks_of(
    flows: Iterable[Mapping[str, Any]], *, same_length: bool
) -> Iterator[Block | Mapping[str, Any]]:
    """Put consecutive rows of one flow together.

    Args:
        flows: Rows, in whatever form a user gave them.
        same_length: Whether rows of a block must have as many values.

    Yields:
        Blocks; and in their place among them, untouched, what is no dictionary of a name, a
        timestamp and a list or tuple.
    """
    block: Block | None = None
    for flow in flows:
        # Other mappings could do anything when they are looked at.
        is_usual = type(flow) is dict
        if is_usual:
            try:
                flow_name, timestamp = flow["flow_name"], flow["timestamp"]
                values = flow["channel_values"]
                is_usual = type(flow_name) is str and type(values) in _LISTS
                if is_usual:
                    # Another thread that changed the list now would move values of other rows.
                    values = tuple(values)
            except KeyError:
                is_usual = False
        if block is not None:
            if (
                is_usual
                and flow_name == block.flow_name
                and block.size < BLOCK_VALUES
                and not (same_length and len(values) != len(block.rows[0]))
            ):
                block.timestamps.append(timestamp)
                block.rows.append(values)
                block.size += 1 + len(values)
                continue
            yield block
            block = None
        if is_usual:
            block = Block(flow_name, [timestamp], [values], 1 + len(values))
        else:
            yield flow
    if block is not None:
        yield block
