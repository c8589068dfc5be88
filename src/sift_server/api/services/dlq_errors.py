"""`sift.dlq_errors.v2.DlqErrorsService`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift.dlq_errors.v2 import dlq_errors_pb2
from sift_server.api.services.convert import list_request, to_timestamp

if TYPE_CHECKING:
    from sift_server.catalog import AssetErrors, Catalog


class DlqErrorsService:
    """Says how many messages of each asset were rejected, of those that the error queue keeps."""

    SERVICE_NAME = "sift.dlq_errors.v2.DlqErrorsService"

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def list_dlq_errors(
        self, request: dlq_errors_pb2.ListDlqErrorsRequest
    ) -> dlq_errors_pb2.ListDlqErrorsResponse:
        """Return a page of summaries, one for each asset."""
        page = self._catalog.error_queue.by_asset(list_request(request))
        return dlq_errors_pb2.ListDlqErrorsResponse(
            error_summaries=map(_message, page.items), next_page_token=page.next_token
        )


def _message(errors: AssetErrors) -> dlq_errors_pb2.ErrorSummary:
    # There is no Parquet file: the messages are in the catalog.
    return dlq_errors_pb2.ErrorSummary(
        count=errors.messages,
        asset_name=errors.asset_name or None,
        min_timestamp=to_timestamp(errors.first_ns),
        max_timestamp=to_timestamp(errors.last_ns),
        created_date=to_timestamp(errors.first_received_ns),
        modified_date=to_timestamp(errors.last_received_ns),
    )
