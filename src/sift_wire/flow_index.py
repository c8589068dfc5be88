"""Flows that are known, by number: found by what messages call them, without the GIL."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from sift_wire import kernels

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from sift_wire.columns import FlowLayout

_FLOWS_FIRST = 64
_BYTES_FIRST = 4_096


class UnknownFlowError(LookupError):
    """There is no such ingestion config, or it has no such flow; the text says which."""


class Flow(Protocol):
    """What must be known of a flow."""

    @property
    def layout(self) -> FlowLayout:
        """Its channels."""


FlowT = TypeVar("FlowT", bound=Flow)
FlowT_co = TypeVar("FlowT_co", bound=Flow, covariant=True)


class _KnownFlows(NamedTuple):
    """The flows that were known at one moment, as `kernels.find_flows` takes them.

    Attributes:
        names: uint8. Ids of ingestion configs, and names of flows.
        rows: int64, shape (flows or more, `KNOWN_COLUMNS`).
        slots: int64. Numbers of flows by the hash of their names.
        fields: uint8. The value fields of all flows.
        n_flows: How many flows there are.
    """

    names: NDArray[np.uint8]
    rows: NDArray[np.int64]
    slots: NDArray[np.int64]
    fields: NDArray[np.uint8]
    n_flows: int


class FlowIndex(Generic[FlowT]):
    """Numbers flows as they are asked for. Safe from many threads.

    A flow never changes once it is created, so that a number is good for ever. That a flow is
    unknown is not remembered: it may be created at any moment.

    Attributes:
        flows: The flows, by number. Only grows.
    """

    def __init__(self, find: Callable[[str, str], FlowT]) -> None:
        """Take `find`: a flow from ingestion config id and name, or `UnknownFlowError`."""
        self.flows: list[FlowT] = []
        self._find = find
        self._numbers: dict[tuple[str, str], int] = {}
        self._adding = threading.Lock()
        self._name_bytes = self._field_bytes = 0
        self._known = _KnownFlows(
            np.empty(_BYTES_FIRST, np.uint8),
            np.empty((_FLOWS_FIRST, kernels.KNOWN_COLUMNS), np.int64),
            np.full(2 * _FLOWS_FIRST, -1, np.int64),
            np.empty(_BYTES_FIRST, np.uint8),
            0,
        )
        """What is known now. Arrays are only written to where this does not look yet."""

    def flow(self, ingestion_config_id: str, flow_name: str) -> FlowT:
        """Return a flow, and give it a number if it has none.

        Raises:
            UnknownFlowError: There is none; says why.
        """
        key = (ingestion_config_id, flow_name)
        number = self._numbers.get(key)
        if number is None:
            flow = self._find(ingestion_config_id, flow_name)
            with self._adding:
                number = self._numbers.get(key)
                if number is None:
                    number = self._numbers[key] = self._add(key, flow)
        return self.flows[number]

    def knows(self, ingestion_config_id: str, flow_name: str) -> bool:
        """Whether a flow has a number."""
        return (ingestion_config_id, flow_name) in self._numbers

    def find_flows(
        self,
        data: NDArray[np.uint8],
        scan: NDArray[np.int64],
        firsts: NDArray[np.int64],
        groups: NDArray[np.int64],
    ) -> NDArray[np.uint8]:
        """Fill in the flows of groups, as far as they are known; see `kernels.find_flows`.

        Returns:
            The value fields of all flows.
        """
        known = self._known
        kernels.find_flows(
            data, scan, firsts, groups, known.names, known.rows, known.slots, known.n_flows
        )
        return known.fields

    def _add(self, key: tuple[str, str], flow: FlowT) -> int:
        number = len(self.flows)
        config, name = (text.encode() for text in key)
        fields = flow.layout.value_fields
        names_at, fields_at = self._name_bytes, self._field_bytes
        self._name_bytes += len(config) + len(name)
        self._field_bytes += len(fields)
        names, rows, slots, all_fields, _ = self._known
        names = _with_room(names, self._name_bytes)
        all_fields = _with_room(all_fields, self._field_bytes)
        rows = _with_room(rows, number + 1)
        names[names_at : self._name_bytes] = np.frombuffer(config + name, np.uint8)
        all_fields[fields_at : self._field_bytes] = np.frombuffer(fields, np.uint8)
        rows[number] = (
            names_at,
            names_at + len(config),
            self._name_bytes,
            fields_at,
            len(fields),
        )
        if len(slots) < 2 * (number + 1):
            slots = np.full(2 * len(slots), -1, np.int64)
            for each in range(number):
                kernels.remember_flow(names, rows, slots, each)
        kernels.remember_flow(names, rows, slots, number)
        self.flows.append(flow)
        self._known = _KnownFlows(names, rows, slots, all_fields, number + 1)
        return number


def _with_room(array: NDArray[Any], length: int) -> NDArray[Any]:
    """The array, or a longer one that begins with it."""
    if length <= len(array):
        return array
    longer = np.empty((max(length, 2 * len(array)), *array.shape[1:]), array.dtype)
    longer[: len(array)] = array
    return longer
