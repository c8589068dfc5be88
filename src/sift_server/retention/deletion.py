"""Deletes the points of a run, or of an asset."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sift_server.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
)
from sift_server.lake import Doomed
from sift_server.lake.removal import NS_MAX, NS_MIN, RemovalAbandonedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sift_server.catalog import Catalog
    from sift_server.lake import DoomedPoints, PointStore

WAIT_MS_MAX = 2_000
"""How long a deletion waits for another one."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """What was deleted, or would be.

    Attributes:
        points: Points, as often as they were written.
        bytes: What they take on disk, about.
        annotations: Annotations.
        runs: Runs.
    """

    points: int
    bytes: int
    annotations: int = 0
    runs: int = 0


class Deletion:
    """Deletes what somebody names. Safe from many threads; one deletion at a time.

    What was acknowledged before a call is deleted; what comes later is not, also if it comes again.
    """

    def __init__(self, catalog: Catalog, store: PointStore, flush: Callable[[], None]) -> None:
        """Take what there is, and what moves hot points into the table."""
        self._catalog = catalog
        self._store = store
        self._flush = flush
        self._one = threading.Lock()
        self._is_stopping = False

    def stop(self) -> None:
        """Let a deletion that is under way be abandoned, if it is not committed yet."""
        self._is_stopping = True

    def of_run(self, run_id: str, *, only_count: bool) -> Deleted:
        """Delete a run: its points, of all assets, its annotations, and the run itself.

        Points first: if it is interrupted, the run is there to be deleted again.

        Raises:
            NotFoundError: There is no such run.
            FailedPreconditionError: A file of the table can't be changed, or the server stops.
            ResourceExhaustedError: Another deletion is under way.
        """
        run = self._catalog.runs.get(run_id)
        points = self._points(Doomed(run_id=run.run_id), only_count=only_count)
        annotations = self._catalog.runs.count_annotations(run.run_id)
        if not only_count:
            annotations = self._catalog.runs.delete(run.run_id)
        return Deleted(points.points, points.bytes, annotations, 1)

    def of_asset(
        self,
        asset_id: str,
        channels: Sequence[str] = (),
        start_ns: int | None = None,
        end_ns: int | None = None,
        *,
        only_count: bool,
    ) -> Deleted:
        """Delete points of an asset. Annotations, channels and the asset stay.

        Args:
            asset_id: The asset.
            channels: Names of channels; none for all.
            start_ns: Earliest time, or None.
            end_ns: Time that is no longer included, or None.
            only_count: Whether to say only what would be deleted.

        Raises:
            NotFoundError: There is no such asset or channel.
            InvalidArgumentError: The end is not behind the start.
            FailedPreconditionError: A file of the table can't be changed, or the server stops.
            ResourceExhaustedError: Another deletion is under way.
        """
        if start_ns is not None and end_ns is not None and start_ns >= end_ns:
            raise InvalidArgumentError("the end of what is to be deleted is not behind its start")
        asset = self._catalog.assets.get(asset_id)
        of_names = self._catalog.listing.channel_ids(asset.asset_id)
        for name in channels:
            if name not in of_names:
                raise NotFoundError(f"the asset {asset.name!r} has no channel {name!r}")
        wanted = channels or of_names
        ids = tuple(sorted({each for name in wanted for each in of_names[name]}))
        last_ns = NS_MAX if end_ns is None else end_ns - 1
        doomed = Doomed(ids, None, NS_MIN if start_ns is None else start_ns, last_ns)
        points = self._points(doomed, only_count=only_count)
        return Deleted(points.points, points.bytes)

    def _points(self, doomed: Doomed, *, only_count: bool) -> DoomedPoints:
        if not self._one.acquire(timeout=WAIT_MS_MAX / 1_000):
            raise ResourceExhaustedError("another deletion is under way; try again when it is done")
        try:
            self._flush()
            if only_count:
                return self._store.count(doomed)
            return self._store.remove(doomed, lambda: not self._is_stopping)
        except RemovalAbandonedError:
            raise FailedPreconditionError(
                "the server is stopping; nothing was deleted. Try again when it is back"
            ) from None
        finally:
            self._one.release()
