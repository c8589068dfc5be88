"""Rows of many flows in a few arrays: what the decoder makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic

from sift_wire import kernels
from sift_wire.columns import FlowRows
from sift_wire.flow_index import FlowT_co

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

_OBJECTS_BYTES = 1_024
"""What the objects of a block take beside what they hold."""


@dataclass(frozen=True, slots=True, eq=False)
class RowBlock(Generic[FlowT_co]):
    """Rows of any flows and runs that came in one go.

    A few arrays hold them all, however many flows there are, so that a row of each of a thousand
    flows costs no more objects than a thousand rows of one.

    Attributes:
        flows: Flows by number, among them those of the block.
        run_ids: Ids of runs, each once; an empty string for 'no run'.
        groups: int64, shape (groups, `kernels.GROUP_COLUMNS`). The rows of one flow and run each;
            none is empty.
        timestamps_ns: int64. As in `FlowRows`; group by group.
        words: uint64, one-dimensional. As in `FlowRows`; group by group, then channel by channel.
        present: bool, as `words`.
        heap: As in `FlowRows`, for all groups.
    """

    flows: Sequence[FlowT_co]
    run_ids: tuple[str, ...]
    groups: NDArray[np.int64]
    timestamps_ns: NDArray[np.int64]
    words: NDArray[np.uint64]
    present: NDArray[np.bool_]
    heap: bytes

    def __len__(self) -> int:
        """How many groups there are."""
        return len(self.groups)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the block holds, at the most."""
        arrays = (self.groups, self.timestamps_ns, self.words, self.present)
        texts = 4 * sum(map(len, self.run_ids)) + len(self.heap)
        return _OBJECTS_BYTES + sum(array.nbytes for array in arrays) + texts

    def flow(self, group: int) -> FlowT_co:
        """The flow of a group."""
        number: int = self.groups[group, kernels.FLOW]
        return self.flows[number]

    def rows(self, group: int) -> FlowRows:
        """The rows of a group; nothing is copied."""
        row = self.groups[group].tolist()
        channels, room, count = row[kernels.CHANNELS], row[kernels.ROWS_MAX], row[kernels.ROWS]
        first_row, first_cell = row[kernels.ROWS_START], row[kernels.CELLS_START]
        cells = slice(first_cell, first_cell + channels * room)
        return FlowRows(
            self.flows[row[kernels.FLOW]].layout,
            self.run_ids[row[kernels.RUN]],
            self.timestamps_ns[first_row : first_row + count],
            self.words[cells].reshape(channels, room)[:, :count],
            self.present[cells].reshape(channels, room)[:, :count],
            self.heap,
        )
