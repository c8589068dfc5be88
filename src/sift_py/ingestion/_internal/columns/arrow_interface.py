"""Arrow's C interface: how objects of any library give their arrays, without that library.

The structures: https://arrow.apache.org/docs/format/CDataInterface.html and, beside it, the stream
interface and the PyCapsule interface.
"""

from __future__ import annotations

import ctypes
import weakref
from ctypes import POINTER, Structure, c_char_p, c_int, c_int64, c_void_p
from typing import TYPE_CHECKING, Any

import numpy as np

from sift_py.ingestion._internal.columns.given import UnreadableError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Schema(Structure):
    """`struct ArrowSchema`."""


Schema._fields_ = [
    ("format", c_char_p),
    ("name", c_char_p),
    ("metadata", c_void_p),
    ("flags", c_int64),
    ("n_children", c_int64),
    ("children", POINTER(POINTER(Schema))),
    ("dictionary", POINTER(Schema)),
    ("release", c_void_p),
    ("private_data", c_void_p),
]


class ArrowArray(Structure):
    """`struct ArrowArray`."""


ArrowArray._fields_ = [
    ("length", c_int64),
    ("null_count", c_int64),
    ("offset", c_int64),
    ("n_buffers", c_int64),
    ("n_children", c_int64),
    ("buffers", POINTER(c_void_p)),
    ("children", POINTER(POINTER(ArrowArray))),
    ("dictionary", POINTER(ArrowArray)),
    ("release", c_void_p),
    ("private_data", c_void_p),
]


class _Stream(Structure):
    """`struct ArrowArrayStream`."""

    _fields_ = (
        ("get_schema", ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p)),
        ("get_next", ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p)),
        ("get_last_error", ctypes.CFUNCTYPE(c_char_p, c_void_p)),
        ("release", c_void_p),
        ("private_data", c_void_p),
    )


_Release = ctypes.CFUNCTYPE(None, c_void_p)
_pointer_of_capsule = ctypes.pythonapi.PyCapsule_GetPointer
_pointer_of_capsule.argtypes = [ctypes.py_object, c_char_p]
_pointer_of_capsule.restype = c_void_p


class Batch:
    """An array of Arrow, which it keeps until nothing refers to it any more."""

    def __init__(self, array: ArrowArray, *keep: object) -> None:
        self.array = array
        self._keep = keep

    def bytes(self, address: int | None, size: int) -> NDArray[np.uint8]:
        """Return a buffer of the array; the batch lives as long as that."""
        if not address or not size:
            return np.empty(0, np.uint8)
        memory: Any = (ctypes.c_uint8 * size).from_address(address)
        memory.batch = self
        return np.ndarray((size,), np.uint8, memory)


def has_arrow(column: object) -> bool:
    """Whether an object gives Arrow arrays."""
    return hasattr(column, "__arrow_c_stream__") or hasattr(column, "__arrow_c_array__")


def read_batches(source: Any) -> tuple[Schema, list[Batch]]:  # noqa: ANN401 - any library's object
    """Return the type of the arrays that an object gives, and the arrays."""
    if hasattr(source, "__arrow_c_stream__"):
        return _read_stream(source.__arrow_c_stream__())
    schema_capsule, array_capsule = source.__arrow_c_array__()
    schema = Schema.from_address(_pointer_of_capsule(schema_capsule, b"arrow_schema"))
    # The capsules own what is in them.
    schema.capsule = schema_capsule
    array = ArrowArray.from_address(_pointer_of_capsule(array_capsule, b"arrow_array"))
    return schema, [Batch(array, array_capsule)]


def _read_stream(capsule: object) -> tuple[Schema, list[Batch]]:
    address = _pointer_of_capsule(capsule, b"arrow_array_stream")
    stream = _Stream.from_address(address)
    schema = Schema()
    _check(stream, stream.get_schema(address, ctypes.addressof(schema)))
    weakref.finalize(schema, _release, _copy(schema))
    batches: list[Batch] = []
    while True:
        array = ArrowArray()
        _check(stream, stream.get_next(address, ctypes.addressof(array)))
        if not array.release:
            return schema, batches
        batch = Batch(array)
        weakref.finalize(batch, _release, _copy(array))
        batches.append(batch)


def _copy(structure: Any) -> Any:  # noqa: ANN401 - a schema or an array
    """Structures may be moved: releasing a copy releases what both refer to."""
    return type(structure).from_buffer_copy(structure)


def _release(structure: Any) -> None:  # noqa: ANN401 - a schema or an array
    _Release(structure.release)(ctypes.addressof(structure))


def _check(stream: _Stream, error_number: int) -> None:
    if error_number:
        text = stream.get_last_error(ctypes.addressof(stream)) or b"no reason given"
        raise UnreadableError(f"can't be read as Arrow: {text.decode(errors='replace')}")
