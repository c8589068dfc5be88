"""Arrays of NumPy as arrays of Arrow, for formats whose libraries give those."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from sift_files.plan import DataType

__all__ = ["arrow_of", "data_type_of_dtype"]


def data_type_of_dtype(dtype: np.dtype[Any]) -> DataType | None:
    """The data type that keeps every value of a dtype; None if there is none."""
    match dtype.kind, dtype.itemsize:
        case "b", _:
            return DataType.BOOL
        case "i", size:
            return DataType.INT_64 if size > 4 else DataType.INT_32  # noqa: PLR2004 (bytes)
        case "u", size:
            return DataType.UINT_64 if size > 4 else DataType.UINT_32  # noqa: PLR2004 (bytes)
        case "f", 2 | 4:
            return DataType.FLOAT
        case "f", 8:
            return DataType.DOUBLE
        case "S" | "U" | "O" | "M", _:
            return DataType.STRING
        case _:
            return None


def arrow_of(values: np.ndarray[Any, Any]) -> Any:  # noqa: ANN401 (of Arrow)
    """An array of one dimension. Bytes are text in UTF-8, and end at the first zero."""
    if values.dtype.kind in "SUO":
        return pa.array([_text(value) for value in values.tolist()], pa.string())
    native = values.astype(values.dtype.newbyteorder("="), copy=False)
    if native.dtype.kind == "M":
        return pa.array(native.astype("datetime64[ns]"))
    return pa.array(np.ascontiguousarray(native))


def _text(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, bytes):
        return value.split(b"\0")[0].decode("utf-8", "replace")
    return str(value)
