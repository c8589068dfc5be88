"""The error queue: every rejected message once, in order, byte for byte."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sift_server.catalog import ListRequest, RejectedEntry
from sift_server.catalog.error_queue import ERROR_QUEUE_PAGE_BYTES_MAX
from support.catalogs import JANUARY_NS


def entry(position: int, index: int) -> RejectedEntry:
    return RejectedEntry(
        position,
        index,
        reason=f"channel {index} has the wrong type",
        message=bytes(range(256)),
        ingestion_config_id="config",
        flow_name=f"flow-{index % 2}",
        received_ns=JANUARY_NS + position,
    )


ENTRIES = [entry(position, index) for position in (3, 2**40) for index in range(3)]


def test_messages_are_kept_in_the_order_of_the_log(catalog):
    """By position, then by place in the record; bytes unchanged."""
    catalog.error_queue.add(ENTRIES[3:])
    catalog.error_queue.add(ENTRIES[:3])
    assert catalog.error_queue.list(ListRequest()).items == ENTRIES


@pytest.mark.proves("misfit-again")
def test_a_replay_changes_nothing(catalog):
    """A message that is there stays as it is, also when part of a call is new."""
    catalog.error_queue.add(ENTRIES[:4])
    catalog.error_queue.add([replace(one, reason="later", received_ns=1) for one in ENTRIES])
    stored = catalog.error_queue.list(ListRequest()).items
    assert stored[:4] == ENTRIES[:4]
    assert [one.reason for one in stored[4:]] == ["later", "later"]
    catalog.error_queue.add([])


def test_many_messages_are_added_at_once(catalog):
    """More records than one query can name."""
    many = [entry(position, 0) for position in range(1_300)]
    catalog.error_queue.add(many)
    catalog.error_queue.add([*many, entry(5_000, 0)])
    first = catalog.error_queue.list(ListRequest(page_size=1_000))
    rest = catalog.error_queue.list(ListRequest(page_size=1_000, page_token=first.next_token))
    assert [one.position for one in first.items + rest.items] == [*range(1_300), 5_000]
    assert rest.next_token == ""


def test_messages_can_be_filtered(catalog):
    """By flow, config, reason and time."""
    catalog.error_queue.add(ENTRIES)
    request = ListRequest(
        "flow_name == 'flow-1' && ingestion_config_id == 'config' && reason.contains('wrong')"
        " && received_date >= timestamp('2026-01-01T00:00:00Z') && position > 3"
    )
    assert catalog.error_queue.list(request).items == [ENTRIES[4]]


def test_pages_of_large_messages_are_short(catalog):
    """A page holds a limited number of bytes, but always a message."""
    size = ERROR_QUEUE_PAGE_BYTES_MAX // 2
    large = [replace(entry(1, index), message=b"x" * (size + index)) for index in range(3)]
    catalog.error_queue.add(large)
    seen, token = [], ""
    while len(seen) < 3:
        page = catalog.error_queue.list(ListRequest(page_token=token))
        assert len(page.items) == 1
        seen, token = seen + page.items, page.next_token
    assert (seen, token) == (large, "")
