"""The error queue: every rejected message once, in order, byte for byte."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sift_server.catalog import ErrorQueueLimits, ListRequest, RejectedEntry
from sift_server.catalog.error_counts import ERROR_COUNTS_MAX
from sift_server.catalog.error_queue import ENTRY_BYTES, ERROR_QUEUE_PAGE_BYTES_MAX
from sift_server.errors import NotFoundError
from support.catalogs import JANUARY_NS, flow_of, open_catalog


def entry(position: int, index: int) -> RejectedEntry:
    return RejectedEntry(
        position,
        index,
        reason=f"channel {index} has the wrong type",
        message=bytes(range(256)),
        ingestion_config_id="config",
        flow_name=f"flow-{index % 2}",
        received_ns=JANUARY_NS + position,
        channel_name=f"channel-{index}",
        cause="wrong type",
        timestamp_ns=JANUARY_NS - position if index else None,
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


def test_a_message_is_found_by_position_and_index(catalog):
    """Or it is said that there is none."""
    catalog.error_queue.add(ENTRIES)
    assert catalog.error_queue.get(2**40, 1) == ENTRIES[4]
    with pytest.raises(NotFoundError, match="no rejected message 4/1"):
        catalog.error_queue.get(4, 1)


def test_messages_know_their_asset(catalog):
    """That of their ingestion config, whether or not they name a flow that there is."""
    config = catalog.ingestion_configs.create("rover", "key", [flow_of("flow-0", "x")])
    known = replace(ENTRIES[0], ingestion_config_id=config.ingestion_config_id)
    catalog.error_queue.add([known, ENTRIES[1]])
    assert [one.asset_name for one in catalog.error_queue.list(ListRequest()).items] == [
        "rover",
        "",
    ]


def test_messages_can_be_filtered(catalog):
    """By asset, flow, channel, config, cause, reason and time."""
    catalog.error_queue.add(ENTRIES)
    request = ListRequest(
        "flow_name == 'flow-1' && ingestion_config_id == 'config' && reason.contains('wrong')"
        " && received_date >= timestamp('2026-01-01T00:00:00Z') && position > 3"
        " && message_date < timestamp('2026-01-01T00:00:00Z') && asset_name == ''"
        " && channel_name == 'channel-1' && cause == 'wrong type'"
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


def keys(catalog) -> list[tuple[int, int]]:
    page = catalog.error_queue.list(ListRequest(page_size=1_000))
    return [(one.position, one.index) for one in page.items]


@pytest.fixture
def small(tmp_path):
    """A catalog whose error queue takes four messages, or the bytes of two large ones."""
    limits = ErrorQueueLimits(bytes_max=20_000, messages_max=4)
    with open_catalog(tmp_path, error_limits=limits) as opened:
        yield opened


def test_the_oldest_messages_make_room(small, caplog):
    """So many as must, also in the middle of a record; the log says so."""
    small.error_queue.add(ENTRIES)
    assert keys(small) == [(3, 2), (2**40, 0), (2**40, 1), (2**40, 2)]
    assert "2 of the oldest messages were dropped, 2 since it began" in caplog.text
    assert "from 2026-01-01T00:00:00+00:00 to 2026-01-01T00:00:00+00:00" in caplog.text


def test_large_messages_make_room_by_their_bytes(small):
    """What is kept counts with all that is said of it; a message beyond the limit is not kept."""
    large = [replace(entry(position, 0), message=b"x" * 9_000) for position in range(3)]
    small.error_queue.add(large)
    assert keys(small) == [(1, 0), (2, 0)]
    assert small.error_queue.totals().kept_bytes == sum(one.size_bytes for one in large[1:])
    assert large[0].size_bytes > ENTRY_BYTES + 9_000
    small.error_queue.add([replace(entry(3, 0), message=b"x" * 20_000)])
    assert keys(small) == []
    assert small.error_queue.totals().dropped_messages == 4


def test_it_says_what_was_dropped(tmp_path):
    """How many messages, how many bytes, of what time; also after a restart."""
    limits = ErrorQueueLimits(messages_max=2)
    with open_catalog(tmp_path, error_limits=limits) as catalog:
        catalog.error_queue.add(ENTRIES)
        totals = catalog.error_queue.totals()
    assert (totals.kept_messages, totals.dropped_messages) == (2, 4)
    assert totals.dropped_bytes == sum(one.size_bytes for one in ENTRIES[:4])
    assert totals.dropped_first_ns == JANUARY_NS + 3
    assert totals.dropped_last_ns == JANUARY_NS + 2**40
    with open_catalog(tmp_path, error_limits=limits) as catalog:
        assert catalog.error_queue.totals() == totals
        catalog.error_queue.add([entry(2**41, 0)])
        assert catalog.error_queue.totals().dropped_messages == 5


def test_a_replay_brings_nothing_back_that_was_dropped(small):
    """And counts nothing as dropped a second time."""
    small.error_queue.add(ENTRIES)
    before = small.error_queue.totals()
    small.error_queue.add(ENTRIES)
    assert keys(small) == [(3, 2), (2**40, 0), (2**40, 1), (2**40, 2)]
    assert small.error_queue.totals() == before


def test_a_lower_limit_holds_from_the_next_message_on(tmp_path, small):
    """Of the messages that were there, the newest stay."""
    small.error_queue.add(ENTRIES)
    with open_catalog(tmp_path, error_limits=ErrorQueueLimits(messages_max=2)) as lowered:
        lowered.error_queue.add([entry(2**41, 0)])
        assert keys(lowered) == [(2**40, 2), (2**41, 0)]


def test_nothing_was_kept_or_dropped_at_first(catalog):
    """An empty queue says so."""
    totals = catalog.error_queue.totals()
    assert (totals.kept_messages, totals.kept_bytes, totals.dropped_messages) == (0, 0, 0)
    assert (totals.dropped_first_ns, totals.dropped_last_ns) == (None, None)
    assert catalog.error_queue.counts().counts == []


def test_messages_are_counted_by_place_and_cause(catalog):
    """The most first; with when they came, and the reason of one of them."""
    catalog.error_queue.add([*ENTRIES, replace(entry(2**41, 1), cause="no timestamp")])
    counts = catalog.error_queue.counts()
    assert not counts.has_more
    assert [
        (one.flow_name, one.channel_name, one.cause, one.messages) for one in counts.counts
    ] == [
        ("flow-0", "channel-0", "wrong type", 2),
        ("flow-0", "channel-2", "wrong type", 2),
        ("flow-1", "channel-1", "wrong type", 2),
        ("flow-1", "channel-1", "no timestamp", 1),
    ]
    first = counts.counts[0]
    assert first.reason == "channel 0 has the wrong type"
    assert (first.first_received_ns, first.last_received_ns) == (
        JANUARY_NS + 3, JANUARY_NS + 2**40,
    )  # fmt: skip
    filtered = catalog.error_queue.counts("cause != 'wrong type'")
    assert [one.messages for one in filtered.counts] == [1]


def test_counts_are_no_more_than_can_be_read(catalog):
    """That there are others is said."""
    many = [replace(entry(1, i), flow_name=f"{i:04}") for i in range(ERROR_COUNTS_MAX + 1)]
    catalog.error_queue.add(many)
    counts = catalog.error_queue.counts()
    assert counts.has_more
    assert [one.flow_name for one in counts.counts] == [f"{i:04}" for i in range(ERROR_COUNTS_MAX)]
