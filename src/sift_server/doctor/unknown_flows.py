"""Whether the catalog knows the flows of messages that are in the log and not in the table."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from sift_server.catalog import Catalog, ListRequest
from sift_server.doctor.findings import Finding, Level, counted
from sift_server.doctor.log_state import whole_records
from sift_server.errors import NotFoundError
from sift_server.ingest import FlowDirectory
from sift_server.ingest.acknowledged import read_payload
from sift_wire.decode import decode
from sift_wire.frames import Frames

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sift_server.catalog import IngestionConfig
    from sift_server.doctor.log_state import LogState

_PAGE_SIZE = 1_000


def unknown_flow_findings(log: LogState, covered: int, catalog: Path) -> Iterator[Finding]:
    """Look for ingestion configs that messages name and the catalog does not have.

    Clients send messages of configs that the server gave them, so that such a config was lost.

    Args:
        log: The log.
        covered: Position up to which the table has everything.
        catalog: A copy of the catalog.
    """
    lost: set[str] = set()
    with Catalog.open(catalog) as opened:
        known = {each.ingestion_config_id for each in _all_configs(opened)}
        flows = FlowDirectory(opened.ingestion_configs.flow)
        for record in whole_records(log):
            if record.position <= covered:
                continue
            payload, _ = read_payload(record.payload)
            for message in decode(Frames.from_payload(payload), flows.index()).rejected:
                config_id = message.ingestion_config_id
                if not config_id or config_id in known | lost:
                    continue
                with suppress(NotFoundError):
                    opened.error_queue.get(record.position, message.index)
                    continue
                lost.add(config_id)
    if lost:
        yield Finding(
            Level.PROBLEM,
            "log",
            f"Messages are of {counted(len(lost), 'ingestion config')} that the catalog does not"
            f" have: {min(lost)}.",
            "The next start puts these messages into the error queue, with their bytes, and not"
            " into the table.",
            "Restore the catalog from a backup before the next start, if one has these configs.",
            is_mendable=False,
        )


def _all_configs(catalog: Catalog) -> Iterator[IngestionConfig]:
    token = ""
    while True:
        page = catalog.ingestion_configs.list(ListRequest(page_size=_PAGE_SIZE, page_token=token))
        yield from page.items
        token = page.next_token
        if not token:
            return
