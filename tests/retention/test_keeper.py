"""Policies keep what is young enough, and as much of it as has room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retention.conftest import HOUR_NS, NOW_NS, Stand
from sift_server.catalog.retention import SIZE_BYTES_MIN
from sift_server.errors import InvalidArgumentError, NotFoundError
from sift_server.retention import RetentionKeeper
from sift_server.retention.planning import ROOM, cutoff_by_age, cutoff_by_size

DAY_NS = 24 * HOUR_NS


@pytest.fixture
def keeper(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> RetentionKeeper:
    monkeypatch.setattr(stand.catalog, "now_ns", lambda: NOW_NS)
    return RetentionKeeper(stand.catalog, stand.store)


@pytest.mark.proves("delete-asked")
def test_without_a_policy_everything_is_kept(stand: Stand, keeper: RetentionKeeper):
    stand.publish("rover", [0, NOW_NS])
    stand.store.flush()
    stand.catalog.retention.set(stand.asset_id("glider"), 3_600, None)

    assert keeper.enforce() == 0
    assert stand.times("rover") == [0, NOW_NS]


@pytest.mark.proves("delete-asked")
def test_what_is_older_than_its_age_goes_and_nothing_else(stand: Stand, keeper: RetentionKeeper):
    times = [NOW_NS - hours * HOUR_NS for hours in (0, 1, 4, 5, 6, 1000)]
    for asset in ("rover", "glider"):
        stand.publish(asset, times)
    stand.store.flush()
    stand.catalog.retention.set(stand.asset_id("rover"), 5 * 3_600, None)

    assert keeper.enforce() == 4
    assert stand.times("rover") == sorted(times[:4])
    assert stand.times("rover", "count") == sorted(times[:4])
    assert stand.times("glider") == sorted(times)
    assert keeper.enforce() == 0


def test_old_points_that_come_late_go_too(stand: Stand, keeper: RetentionKeeper):
    stand.catalog.retention.set(stand.asset_id("rover"), 3_600, None)
    stand.publish("rover", [NOW_NS])
    stand.store.flush()
    assert keeper.enforce() == 0
    stand.publish("rover", [5])
    stand.store.flush()

    assert keeper.enforce() == 2
    assert stand.times("rover") == [NOW_NS]


def test_what_has_no_room_goes_hour_by_hour(
    stand: Stand, keeper: RetentionKeeper, monkeypatch: pytest.MonkeyPatch
):
    times = [NOW_NS - hour * HOUR_NS + n for hour in range(10) for n in range(100)]
    for asset in ("rover", "glider"):
        stand.publish(asset, times)
    stand.store.flush()
    size = stand.store.stats().table_bytes
    monkeypatch.setattr("sift_server.catalog.retention.SIZE_BYTES_MIN", 1)
    stand.catalog.retention.set(stand.asset_id("rover"), None, size // 4)

    assert keeper.enforce() > 0
    kept = stand.times("rover")
    assert 300 <= len(kept) < 600
    assert len(kept) % 100 == 0
    assert kept == sorted(times)[-len(kept) :]
    assert stand.times("glider") == sorted(times)


def test_who_stops_is_not_held_up(stand: Stand, keeper: RetentionKeeper):
    stand.publish("rover", [5])
    stand.store.flush()
    stand.catalog.retention.set(stand.asset_id("rover"), 3_600, None)

    assert keeper.enforce(lambda: False) == 0
    assert stand.times("rover") == [5]


def test_a_policy_is_set_anew_and_removed(stand: Stand):
    policies = stand.catalog.retention
    asset_id = stand.asset_id("rover")
    policies.set(asset_id, 3_600, None)
    policies.set(asset_id, None, SIZE_BYTES_MIN)
    (policy,) = policies.all()
    assert (policy.asset_name, policy.age_s, policy.size_bytes) == ("rover", None, SIZE_BYTES_MIN)

    policies.remove(asset_id)

    assert policies.all() == []
    with pytest.raises(NotFoundError):
        policies.remove(asset_id)
    with pytest.raises(NotFoundError):
        policies.set("none", 3_600, None)


@pytest.mark.parametrize(
    ("age_s", "size_bytes"), [(None, None), (3_599, None), (-1, None), (None, 1), (2**62, None)]
)
def test_a_policy_that_is_none_is_refused(stand: Stand, age_s: int | None, size_bytes: int | None):
    with pytest.raises(InvalidArgumentError):
        stand.catalog.retention.set(stand.asset_id("rover"), age_s, size_bytes)


def test_ages_of_days_end_at_whole_dates():
    assert cutoff_by_age(10 * DAY_NS + 5 * HOUR_NS, 3 * 86_400) == 7 * DAY_NS
    assert cutoff_by_age(10 * DAY_NS + 5 * HOUR_NS + 1, 3_600) == 10 * DAY_NS + 4 * HOUR_NS


@given(
    st.dictionaries(st.integers(-100, 100), st.floats(1, 1_000), min_size=1), st.integers(1, 20_000)
)
def test_the_newest_that_have_room_stay(hours: dict[int, float], size_bytes: int):
    cutoff_ns = cutoff_by_size(hours, size_bytes)
    if cutoff_ns is None:
        assert sum(hours.values()) <= size_bytes
        return
    kept = {hour: size for hour, size in hours.items() if hour * HOUR_NS >= cutoff_ns}
    assert max(hours) in kept
    assert sum(kept.values()) <= size_bytes * ROOM + 1e-6 or len(kept) == 1
    if gone := sorted(hours.keys() - kept.keys()):
        assert sum(kept.values()) + hours[gone[-1]] > size_bytes * ROOM - 1e-6
