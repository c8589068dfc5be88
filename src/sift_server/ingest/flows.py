"""What configured flows look like, remembered."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from sift_server.errors import NotFoundError
from sift_wire.decode import UnknownFlowError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sift_server.catalog import ConfiguredFlow
    from sift_wire.columns import FlowLayout

FLOWS_CACHED_MAX = 50_000
"""How many flows are remembered; when there are more, all are forgotten and asked for again."""


class CatalogNeededError(Exception):
    """A flow is not remembered, and the caller has no time to ask the catalog for it."""


class FlowDirectory:
    """Remembers the flows that the catalog told of.

    A flow never changes once it is created, so that an answer stays true. That a flow is unknown
    is never remembered: it may be created at any moment. Safe from many threads.
    """

    def __init__(self, find: Callable[[str, str], ConfiguredFlow]) -> None:
        """Take `find`, which asks the catalog and raises `NotFoundError`."""
        self._find = find
        self._flows: dict[tuple[str, str], ConfiguredFlow] = {}
        self._lock = threading.Lock()

    def flow(self, ingestion_config_id: str, flow_name: str) -> ConfiguredFlow:
        """Return a flow of an ingestion config.

        Raises:
            UnknownFlowError: There is no such config, or it has no such flow; says which.
        """
        key = (ingestion_config_id, flow_name)
        flow = self._flows.get(key)
        if flow is None:
            try:
                flow = self._find(ingestion_config_id, flow_name)
            except NotFoundError as error:
                raise UnknownFlowError(str(error)) from None
            with self._lock:
                if len(self._flows) >= FLOWS_CACHED_MAX:
                    self._flows.clear()
                flow = self._flows.setdefault(key, flow)
        return flow

    def remembered_layout_of(self, ingestion_config_id: str, flow_name: str) -> FlowLayout:
        """Return the layout of a flow without a question to the catalog.

        Raises:
            CatalogNeededError: The flow is not remembered; there may be one all the same.
        """
        flow = self._flows.get((ingestion_config_id, flow_name))
        if flow is None:
            raise CatalogNeededError
        return flow.layout

    def layout_of(self, ingestion_config_id: str, flow_name: str) -> FlowLayout:
        """Return the layout of a flow, for the decoder.

        Raises:
            UnknownFlowError: There is no such config, or it has no such flow; says which.
        """
        return self.flow(ingestion_config_id, flow_name).layout
