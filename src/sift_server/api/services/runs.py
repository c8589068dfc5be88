"""`sift.runs.v2.RunService`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sift.runs.v2 import runs_pb2
from sift_server.api.services.convert import (
    from_metadata,
    from_timestamp,
    list_request,
    to_duration,
    to_metadata,
    to_timestamp,
)
from sift_server.api.services.masks import archived_since, update_paths, with_fields
from sift_server.catalog import Attributes, RunDraft

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from sift_server.catalog import Catalog, Run


class RunService:
    """Gets, lists, creates, updates and stops runs."""

    SERVICE_NAME = "sift.runs.v2.RunService"

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def get_run(self, request: runs_pb2.GetRunRequest) -> runs_pb2.GetRunResponse:
        """Return a run."""
        return runs_pb2.GetRunResponse(run=_message(self._catalog.runs.get(request.run_id)))

    def list_runs(self, request: runs_pb2.ListRunsRequest) -> runs_pb2.ListRunsResponse:
        """Return a page of the runs."""
        page = self._catalog.runs.list(list_request(request))
        return runs_pb2.ListRunsResponse(
            runs=map(_message, page.items), next_page_token=page.next_token
        )

    def create_run(self, request: runs_pb2.CreateRunRequest) -> runs_pb2.CreateRunResponse:
        """Create a run."""
        run = self._catalog.runs.create(
            RunDraft(
                name=request.name,
                description=request.description,
                organization_id=request.organization_id,
                client_key=request.client_key or None,
                start_ns=_time(request, "start_time"),
                stop_ns=_time(request, "stop_time"),
                attributes=Attributes(tuple(request.tags), from_metadata(request.metadata)),
            )
        )
        return runs_pb2.CreateRunResponse(run=_message(run))

    def update_run(self, request: runs_pb2.UpdateRunRequest) -> runs_pb2.UpdateRunResponse:
        """Replace the fields of a run that the mask names."""
        wanted = request.run
        paths = update_paths(request.update_mask, wanted, _UPDATABLE)

        def change(draft: RunDraft) -> RunDraft:
            draft = with_fields(draft, wanted, paths, _CHANGES)
            archived_ns = archived_since(
                draft.archived_ns, paths, self._catalog.now_ns, is_archived=wanted.is_archived
            )
            return replace(draft, archived_ns=archived_ns)

        run = self._catalog.runs.update(wanted.run_id, change)
        return runs_pb2.UpdateRunResponse(run=_message(run))

    def stop_run(self, request: runs_pb2.StopRunRequest) -> runs_pb2.StopRunResponse:
        """End a run now."""
        self._catalog.runs.stop(request.run_id)
        return runs_pb2.StopRunResponse()


def _time(message: Any, name: str) -> int | None:  # noqa: ANN401 - any message with that field
    return from_timestamp(getattr(message, name), name) if message.HasField(name) else None


def _with_tags(draft: RunDraft, run: runs_pb2.Run) -> RunDraft:
    return replace(draft, attributes=replace(draft.attributes, tags=tuple(run.tags)))


def _with_metadata(draft: RunDraft, run: runs_pb2.Run) -> RunDraft:
    metadata = from_metadata(run.metadata)
    return replace(draft, attributes=replace(draft.attributes, metadata=metadata))


_CHANGES: dict[str, Callable[[RunDraft, runs_pb2.Run], RunDraft]] = {
    "name": lambda draft, run: replace(draft, name=run.name),
    "description": lambda draft, run: replace(draft, description=run.description),
    "client_key": lambda draft, run: replace(draft, client_key=run.client_key or None),
    "start_time": lambda draft, run: replace(draft, start_ns=_time(run, "start_time")),
    "stop_time": lambda draft, run: replace(draft, stop_ns=_time(run, "stop_time")),
    "is_pinned": lambda draft, run: replace(draft, is_pinned=run.is_pinned),
    "tags": _with_tags,
    "metadata": _with_metadata,
    "archived_date": lambda draft, run: replace(draft, archived_ns=_time(run, "archived_date")),
}
"""What an update changes, by the path of the mask."""

_UPDATABLE = (*_CHANGES, "is_archived")


def _message(run: Run) -> runs_pb2.Run:
    draft = run.draft
    message = runs_pb2.Run(
        run_id=run.run_id,
        created_date=to_timestamp(run.created_ns),
        modified_date=to_timestamp(run.modified_ns),
        organization_id=draft.organization_id,
        start_time=to_timestamp(draft.start_ns),
        stop_time=to_timestamp(draft.stop_ns),
        is_pinned=draft.is_pinned,
        name=draft.name,
        description=draft.description,
        tags=draft.attributes.tags,
        client_key=draft.client_key,
        metadata=to_metadata(draft.attributes.metadata),
        archived_date=to_timestamp(draft.archived_ns),
        is_archived=draft.archived_ns is not None,
        stopped_date=to_timestamp(draft.stop_ns),
        is_stopped=draft.stop_ns is not None,
    )
    if draft.start_ns is not None and draft.stop_ns is not None:
        message.duration.CopyFrom(to_duration(draft.stop_ns - draft.start_ns))
    return message
