"""What configured flows look like, remembered."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from sift_server.errors import NotFoundError
from sift_wire.flow_index import FlowIndex, UnknownFlowError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sift_server.catalog import ConfiguredFlow

FLOWS_REMEMBERED_MAX = 131_072
"""How many flows are remembered, at about 1.7 KiB each; when there are more, all are forgotten and
asked for again. To ask the catalog takes 0.2 ms."""

CHANNELS_REMEMBERED_MAX = 512 * 1024
"""The same for the channels of all these flows, at about 200 bytes each."""


class FlowDirectory:
    """Remembers the flows that the catalog told of. Safe from many threads."""

    def __init__(self, find: Callable[[str, str], ConfiguredFlow]) -> None:
        """Take `find`, which asks the catalog and raises `NotFoundError`."""
        self._find = find
        self._index = FlowIndex(self._asked)
        self._counting = threading.Lock()
        self._n_flows_counted = 0
        self._n_channels = 0

    def index(self) -> FlowIndex[ConfiguredFlow]:
        """What is remembered; to be asked for anew each time."""
        if len(self._index.flows) != self._n_flows_counted:
            with self._counting:
                self._count()
        return self._index

    def _count(self) -> None:
        flows = self._index.flows[self._n_flows_counted :]
        self._n_flows_counted += len(flows)
        self._n_channels += sum(len(flow.layout.value_fields) for flow in flows)
        if (
            self._n_flows_counted >= FLOWS_REMEMBERED_MAX
            or self._n_channels >= CHANNELS_REMEMBERED_MAX
        ):
            # Who still has the old one goes on with it.
            self._index = FlowIndex(self._asked)
            self._n_flows_counted = self._n_channels = 0

    def _asked(self, ingestion_config_id: str, flow_name: str) -> ConfiguredFlow:
        try:
            return self._find(ingestion_config_id, flow_name)
        except NotFoundError as error:
            raise UnknownFlowError(str(error)) from None
