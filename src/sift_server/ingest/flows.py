"""What configured flows look like, remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift_server.errors import NotFoundError
from sift_wire.flow_index import FlowIndex, UnknownFlowError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sift_server.catalog import ConfiguredFlow

FLOWS_REMEMBERED_MAX = 50_000
"""How many flows are remembered; when there are more, all are forgotten and asked for again."""


class FlowDirectory:
    """Remembers the flows that the catalog told of. Safe from many threads."""

    def __init__(self, find: Callable[[str, str], ConfiguredFlow]) -> None:
        """Take `find`, which asks the catalog and raises `NotFoundError`."""
        self._find = find
        self._index = FlowIndex(self._asked)

    def index(self) -> FlowIndex[ConfiguredFlow]:
        """What is remembered; to be asked for anew each time."""
        if len(self._index.flows) >= FLOWS_REMEMBERED_MAX:
            # Who still has the old one goes on with it.
            self._index = FlowIndex(self._asked)
        return self._index

    def _asked(self, ingestion_config_id: str, flow_name: str) -> ConfiguredFlow:
        try:
            return self._find(ingestion_config_id, flow_name)
        except NotFoundError as error:
            raise UnknownFlowError(str(error)) from None
