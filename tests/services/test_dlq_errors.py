"""Summaries of rejected messages through their service."""

from __future__ import annotations

import pytest

from sift.dlq_errors.v2 import dlq_errors_pb2
from sift_server.api.services.dlq_errors import DlqErrorsService
from sift_server.catalog import RejectedEntry
from sift_server.errors import InvalidArgumentError
from support.catalogs import JANUARY_NS

Request = dlq_errors_pb2.ListDlqErrorsRequest


@pytest.fixture
def service(catalog) -> DlqErrorsService:
    """The service, with messages of five assets and some of none."""
    rejected = [RejectedEntry(9, 0, "why", b"\xff", "", "", JANUARY_NS + 9)]
    for number in range(5):
        config = catalog.ingestion_configs.create(f"asset-{number}", f"key-{number}", [])
        rejected += [
            RejectedEntry(
                number, index, "why", b"message", config.ingestion_config_id, "flow",
                JANUARY_NS + 10 * number + index, "channel", "wrong type",
                None if index == 0 else JANUARY_NS - index,
            )
            for index in range(number + 1)
        ]  # fmt: skip
    catalog.error_queue.add(rejected)
    return DlqErrorsService(catalog)


def listed(service: DlqErrorsService, **request: object) -> list[str]:
    return [one.asset_name for one in service.list_dlq_errors(Request(**request)).error_summaries]


def test_a_summary_says_how_many_and_when(service):
    """The times that messages say, and the times at which they came."""
    request = Request(filter="asset_name == 'asset-3'")
    (summary,) = service.list_dlq_errors(request).error_summaries
    assert summary.count == 4
    assert summary.min_timestamp.ToNanoseconds() == JANUARY_NS - 3
    assert summary.max_timestamp.ToNanoseconds() == JANUARY_NS - 1
    assert summary.created_date.ToNanoseconds() == JANUARY_NS + 30
    assert summary.modified_date.ToNanoseconds() == JANUARY_NS + 33
    assert summary.dlq_parquet_file_id == ""


def test_what_no_asset_or_time_is_known_of_says_none(service):
    """The fields are not set."""
    request = Request(filter="asset_name == ''")
    (summary,) = service.list_dlq_errors(request).error_summaries
    assert summary.count == 1
    assert not any(map(summary.HasField, ("asset_name", "min_timestamp", "max_timestamp")))


def test_summaries_are_ordered_and_filtered(service):
    """The newest first, if not asked otherwise; by all that a summary says."""
    newest_first = ["asset-4", "asset-3", "asset-2", "asset-1", "", "asset-0"]
    assert listed(service) == newest_first
    assert listed(service, order_by="modified_date") == newest_first[::-1]
    assert listed(service, order_by="count desc, asset_name", filter="count < 3") == [
        "asset-1", "", "asset-0",
    ]  # fmt: skip
    year = "min_timestamp.getFullYear() == 2025 && max_timestamp < created_date"
    assert listed(service, filter=year) == newest_first[:4]
    with pytest.raises(InvalidArgumentError, match="flow"):
        listed(service, filter="flow == 'x'")


@pytest.mark.parametrize("order_by", ["", "count", "asset_name desc", "min_timestamp"])
def test_pages_have_every_summary_once(service, order_by):
    """Whatever they are ordered by."""
    seen, token = [], ""
    for _ in range(3):
        page = service.list_dlq_errors(Request(page_size=2, page_token=token, order_by=order_by))
        seen += [one.asset_name for one in page.error_summaries]
        token = page.next_page_token
    assert not token
    assert seen == listed(service, order_by=order_by)
    assert len(set(seen)) == 6
