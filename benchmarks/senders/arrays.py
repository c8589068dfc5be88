"""A workload as arrays of NumPy, which needs nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .workload import Workload

Values = NDArray[np.generic] | np.ma.MaskedArray

DTYPES = {"DOUBLE": np.float64, "FLOAT": np.float32, "INT_32": np.int32, "ENUM": np.uint32}
NOISE = 0.05


def arrays_of(workload: Workload) -> dict[str, Values]:
    """Each channel's values, by name, masked where they are absent; objects for bytes and texts.

    Values are those of the rows, over and over, with noise added to floating point numbers: columns
    are long enough to be written to the table while they are sent, and repetitions in a long column
    would be smaller and faster to write than what sensors give.
    """
    columns = zip(workload.names(), workload.types(), workload.columns(), strict=True)
    return {
        name: _array(data_type, column, workload.rows, np.random.default_rng(index))
        for index, (name, data_type, column) in enumerate(columns)
    }


def _array(data_type: str, column: list, rows: int, chance: np.random.Generator) -> Values:
    repeats = -(-rows // len(column))
    if data_type in {"BIT_FIELD", "STRING"}:
        values = np.array(column * repeats, object)[:rows]
    else:
        dtype = DTYPES.get(data_type, np.bool_)
        known = np.array([0 if value is None else value for value in column], dtype)
        values = np.tile(known, repeats)[:rows]
        if data_type in {"DOUBLE", "FLOAT"}:
            values = np.round(values + chance.normal(0, NOISE, rows), 4).astype(dtype)
    if all(value is not None for value in column):
        return values
    return np.ma.masked_array(values, np.tile([value is None for value in column], repeats)[:rows])
