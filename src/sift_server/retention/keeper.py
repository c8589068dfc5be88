"""Deletes what the retention policies of assets do not keep."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sift_server.errors import ServerError
from sift_server.lake import Doomed
from sift_server.lake.removal import RemovalAbandonedError
from sift_server.retention.hours import AssetHours
from sift_server.retention.planning import HOUR_NS, cutoff_by_age, cutoff_by_size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sift_server.catalog import Catalog, RetentionPolicy
    from sift_server.lake import PointStore

_NS_PER_S = 10**9

_logger = logging.getLogger(__name__)


class RetentionKeeper:
    """Enforces the policies. For one thread.

    Points that are not in the table yet are looked at when they are.
    """

    def __init__(self, catalog: Catalog, store: PointStore) -> None:
        """Take what there is."""
        self._catalog = catalog
        self._store = store
        self._hours = AssetHours()

    def enforce(self, go_on: Callable[[], bool] = lambda: True) -> int:
        """Delete what is too old, or too much.

        Args:
            go_on: Asked now and then whether to go on.

        Returns:
            How many points were deleted.

        Raises:
            OSError: A file can't be read or written.
        """
        policies = self._catalog.retention.all()
        if not policies:
            return 0
        hours = self._hours.bytes_of(self._store.snapshot().files)
        points = 0
        for policy in policies:
            mine = hours.get(policy.asset_name, {})
            cutoff_ns = self._cutoff_ns(policy, mine)
            if cutoff_ns is None or all(hour * HOUR_NS >= cutoff_ns for hour in mine):
                continue
            try:
                points += self._delete(policy, cutoff_ns, go_on)
            except RemovalAbandonedError:
                break
            except ServerError as error:
                _logger.warning("retention of the asset %r: %s", policy.asset_name, error)
        return points

    def _cutoff_ns(self, policy: RetentionPolicy, hours: Mapping[int, float]) -> int | None:
        cutoffs = []
        if policy.age_s is not None:
            cutoffs.append(cutoff_by_age(self._catalog.now_ns(), policy.age_s))
        if policy.size_bytes is not None and hours:
            by_size = cutoff_by_size(hours, policy.size_bytes)
            cutoffs += [] if by_size is None else [by_size]
        return max(cutoffs, default=None)

    def _delete(self, policy: RetentionPolicy, cutoff_ns: int, go_on: Callable[[], bool]) -> int:
        of_names = self._catalog.listing.channel_ids(policy.asset_id)
        ids = tuple(sorted({each for ids in of_names.values() for each in ids}))
        removed = self._store.remove(Doomed(ids, last_ns=cutoff_ns - 1), go_on)
        if removed.points:
            _logger.info(
                "retention of the asset %r: %d points before %s were deleted, about %d bytes",
                policy.asset_name,
                removed.points,
                datetime.fromtimestamp(cutoff_ns // _NS_PER_S, UTC).isoformat(),
                removed.bytes,
            )
        return removed.points
