"""Pages: any size, any order, while rows arrive."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sift_server.catalog import ListRequest, RunDraft
from sift_server.errors import InvalidArgumentError
from support.catalogs import JANUARY_NS, flow_of, open_catalog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sift_server.catalog import Catalog

ORDERS = (
    "annotation_comments_count desc",
    "",
    "name",
    "name desc",
    "stop_time",
    "stop_time desc, name asc",
    "client_key, start_time desc",
    "duration desc",
    "created_date",
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Iterator[Catalog]:
    """Runs of few names, some without key, start or stop."""
    with open_catalog(tmp_path_factory.mktemp("runs")) as opened:
        for number in range(23):
            start_ns = None if number % 5 == 0 else JANUARY_NS + number % 3
            stop_ns = None if start_ns is None or number % 2 else JANUARY_NS + 10 + number % 4
            key = f"key-{number}" if number % 4 else None
            opened.runs.create(
                RunDraft(f"run-{number % 6}", client_key=key, start_ns=start_ns, stop_ns=stop_ns)
            )
        yield opened


def walk(catalog: Catalog, sizes: Iterator[int], filter_: str, order_by: str) -> list[str]:
    ids, token = [], ""
    while True:
        request = ListRequest(filter_, order_by, next(sizes), token)
        page = catalog.runs.list(request)
        assert len(page.items) == request.page_size or not page.next_token
        ids += [run.run_id for run in page.items]
        if not page.next_token:
            return ids
        token = page.next_token


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.integers(1, 25), min_size=1, max_size=5),
    order_by=st.sampled_from(ORDERS),
    filter_=st.sampled_from(["", "start_time != null", 'name in ["run-1", "run-2", "run-5"]']),
)
def test_any_page_sizes_yield_the_same_sequence(runs, sizes, order_by, filter_):
    """Each row once, in the order of one large page, and no page is empty for nothing."""
    expected = [one.run_id for one in runs.runs.list(ListRequest(filter_, order_by, 1000)).items]
    assert len(expected) == len(set(expected)) > 0

    def cycled() -> Iterator[int]:
        while True:
            yield from sizes

    assert walk(runs, cycled(), filter_, order_by) == expected


def test_runs_come_newest_first_and_channels_in_their_order(catalog):
    """The documented default orders; channels of one moment come as the flow has them."""
    for name in ("first", "second", "third"):
        catalog.runs.create(RunDraft(name))
    listed = catalog.runs.list(ListRequest()).items
    assert [run.draft.name for run in listed] == ["third", "second", "first"]
    catalog.ingestion_configs.create("asset", "key", [flow_of("f", "z", "a", "m")])
    channels = catalog.channels.list(ListRequest()).items
    assert [channel.config.fqn for channel in channels] == ["z", "a", "m"]


def test_rows_without_a_value_sort_below_all_others(runs):
    """Ascending first, descending last."""
    ascending = runs.runs.list(ListRequest("", "stop_time", 1000)).items
    stops = [run.draft.stop_ns for run in ascending]
    assert stops == sorted(stops, key=lambda stop: -1 if stop is None else stop)


def test_a_page_is_stable_while_rows_arrive(catalog):
    """Rows that come between two pages shift nothing."""
    for number in range(6):
        catalog.runs.create(RunDraft(f"run-{number}"))
    first = catalog.runs.list(ListRequest(page_size=3))
    catalog.runs.create(RunDraft("late"))
    second = catalog.runs.list(ListRequest(page_size=3, page_token=first.next_token))
    names = [run.draft.name for page in (first, second) for run in page.items]
    assert names == [f"run-{number}" for number in (5, 4, 3, 2, 1, 0)]
    assert second.next_token == ""


def test_page_sizes_have_a_default_and_a_limit(catalog):
    """50 if not said, at most 1,000, and at most 10,000 for channels."""
    catalog.ingestion_configs.create(
        "asset", "key", [flow_of(f"f{number}", f"c{number}") for number in range(1_001)]
    )
    (config,) = catalog.ingestion_configs.list(ListRequest()).items

    def flows(page_size: int) -> int:
        request = ListRequest(page_size=page_size)
        page = catalog.ingestion_configs.list_flows(config.ingestion_config_id, request)
        return len(page.items)

    assert [flows(0), flows(1_000), flows(2**32 - 1)] == [50, 1_000, 1_000]
    channels = catalog.channels.list(ListRequest(page_size=10_000))
    assert (len(channels.items), channels.next_token) == (1_001, "")


def test_a_full_last_page_has_no_token(catalog):
    """A client that asks for exactly what there is must not be sent on."""
    catalog.ingestion_configs.create("asset", "key", [flow_of("f", "a", "b")])
    page = catalog.channels.list(ListRequest(page_size=2))
    assert (len(page.items), page.next_token) == (2, "")


@pytest.mark.parametrize(
    "damage",
    [
        lambda _token: "not a token",
        lambda _token: "é",
        lambda token: token[:-8],
        lambda _token: base64.urlsafe_b64encode(b"{}").decode(),
        lambda _token: base64.urlsafe_b64encode(b"[1]").decode(),
        lambda _token: base64.urlsafe_b64encode(b"[" * 5_000).decode(),
        lambda token: _with_keys(token, ["x", 1]),
        lambda token: _with_keys(token, [True, 1]),
        lambda token: _with_keys(token, [2**64, 1]),
        lambda token: _with_keys(token, [1]),
    ],
)
def test_a_token_that_is_none_is_refused(runs, damage):
    """Malformed or damaged: INVALID_ARGUMENT, and what to do."""
    token = runs.runs.list(ListRequest(page_size=2)).next_token
    with pytest.raises(InvalidArgumentError, match="page token"):
        runs.runs.list(ListRequest(page_token=damage(token)))


def _with_keys(token: str, keys: list[object]) -> str:
    question, *_ = json.loads(base64.urlsafe_b64decode(token))
    return base64.urlsafe_b64encode(json.dumps([question, *keys]).encode()).decode()


@pytest.mark.parametrize(
    "other", [ListRequest("is_archived == false"), ListRequest(order_by="name")]
)
def test_a_token_answers_one_question_only(runs, other):
    """A token of another filter or order is refused; another page size is fine."""
    token = runs.runs.list(ListRequest(page_size=2)).next_token
    request = ListRequest(other.filter, other.order_by, 2, token)
    with pytest.raises(InvalidArgumentError, match="another filter or order"):
        runs.runs.list(request)
    assert runs.runs.list(ListRequest(page_size=7, page_token=token)).items


@pytest.mark.parametrize(
    ("order_by", "said"),
    [
        ("color", "'color'"),
        ("name sideways", "field desc"),
        ("name,,run_id", "''"),
        ("is_archived", "'is_archived'"),
        ('metadata["a"]', "metadata"),
        (",".join(["name"] * 9), "more than 8"),
    ],
)
def test_an_order_that_is_none_is_refused(runs, order_by, said):
    """The message names the field and lists those that rows can be ordered by."""
    with pytest.raises(
        InvalidArgumentError, match=f"{said}.*ordered by annotation_comments_count, "
    ):
        runs.runs.list(ListRequest(order_by=order_by))
