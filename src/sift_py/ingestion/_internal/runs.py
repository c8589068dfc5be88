"""Runs: found by name, or created."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift.runs.v2.runs_pb2 import CreateRunRequest, ListRunsRequest
from sift.runs.v2.runs_pb2_grpc import RunServiceStub
from sift_py.errors import IngestionValidationError
from sift_py.grpc._retrying import retried
from sift_py.ingestion._internal.calls import CONTROL_CALL_TIMEOUT_S, equals_filter
from sift_py.ingestion._internal.declared import checked_tags

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sift_py.grpc.retry import RetryPolicy
    from sift_py.grpc.transport import SiftChannel


def find_or_create_run(
    channel: SiftChannel,
    name: str,
    description: str | None,
    organization_id: str | None,
    tags: Sequence[str] | None,
    retry_policy: RetryPolicy,
) -> str:
    """Return the id of a run of that name; without one, create it.

    Raises:
        IngestionValidationError: `tags` is no list of str.
        grpc.RpcError: A call failed.
    """
    tags = checked_tags(tags, f"run '{name}'", IngestionValidationError)
    stub = RunServiceStub(channel)
    listing = ListRunsRequest(filter=equals_filter("name", name), page_size=1)
    request = CreateRunRequest(
        name=name,
        description=description or "",
        organization_id=organization_id or "",
        tags=tags or (),
    )

    def find_or_create() -> str:
        found = stub.ListRuns(listing, timeout=CONTROL_CALL_TIMEOUT_S).runs
        if found:
            return found[0].run_id
        return stub.CreateRun(request, timeout=CONTROL_CALL_TIMEOUT_S).run.run_id

    # To create twice would make two runs: a retry looks first.
    return retried(find_or_create, retry_policy)
