"""Ids are UUIDs that sort as they were made."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from sift_server.catalog.ids import IdSource


def test_ids_are_uuids_of_version_7_of_now():
    before_ms = time.time_ns() // 1_000_000
    made = uuid.UUID(IdSource()())
    after_ms = time.time_ns() // 1_000_000
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert before_ms <= made.int >> 80 <= after_ms


def test_ids_sort_in_the_order_in_which_they_were_made():
    """Also faster than the clock ticks, and when it goes back."""
    new_id = IdSource()
    ids = [new_id() for _ in range(20_000)]
    assert all(one < following for one, following in pairwise(ids))


def test_threads_never_get_the_same_id():
    new_id = IdSource()
    with ThreadPoolExecutor(4) as threads:
        ids = list(threads.map(lambda _: [new_id() for _ in range(2_000)], range(8)))
    assert len({one for part in ids for one in part}) == 16_000
