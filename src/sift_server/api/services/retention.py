"""`sift.server.v1.RetentionService`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift.server.v1 import retention_pb2
from sift_server.api.services.convert import from_timestamp
from sift_server.errors import InvalidArgumentError

if TYPE_CHECKING:
    from sift_server.catalog import Catalog, RetentionPolicy
    from sift_server.retention import Deletion


class RetentionService:
    """Deletes points, and says how long they are kept."""

    SERVICE_NAME = "sift.server.v1.RetentionService"

    def __init__(self, catalog: Catalog, deletion: Deletion) -> None:
        self._policies = catalog.retention
        self._deletion = deletion

    def delete_points(
        self, request: retention_pb2.DeletePointsRequest
    ) -> retention_pb2.DeletePointsResponse:
        """Delete the points of a run or an asset."""
        if bool(request.run_id) == bool(request.asset_id):
            raise InvalidArgumentError("give either run_id or asset_id: whose points to delete")
        if request.run_id:
            if (
                request.channel_names
                or request.HasField("start_time")
                or request.HasField("end_time")
            ):
                raise InvalidArgumentError(
                    "a run is deleted whole; channel_names, start_time and end_time go with"
                    " asset_id"
                )
            deleted = self._deletion.of_run(request.run_id, only_count=request.validate_only)
        else:
            has_start, has_end = request.HasField("start_time"), request.HasField("end_time")
            deleted = self._deletion.of_asset(
                request.asset_id,
                list(request.channel_names),
                from_timestamp(request.start_time, "start_time") if has_start else None,
                from_timestamp(request.end_time, "end_time") if has_end else None,
                only_count=request.validate_only,
            )
        return retention_pb2.DeletePointsResponse(
            points=deleted.points, size_bytes=deleted.bytes, annotations=deleted.annotations
        )

    def set_retention_policy(
        self, request: retention_pb2.SetRetentionPolicyRequest
    ) -> retention_pb2.SetRetentionPolicyResponse:
        """Give an asset a policy."""
        policy = self._policies.set(
            request.asset_id, request.age_seconds or None, request.size_bytes or None
        )
        return retention_pb2.SetRetentionPolicyResponse(retention_policy=_message(policy))

    def list_retention_policies(
        self, _request: retention_pb2.ListRetentionPoliciesRequest
    ) -> retention_pb2.ListRetentionPoliciesResponse:
        """Return all policies."""
        return retention_pb2.ListRetentionPoliciesResponse(
            retention_policies=map(_message, self._policies.all())
        )

    def remove_retention_policy(
        self, request: retention_pb2.RemoveRetentionPolicyRequest
    ) -> retention_pb2.RemoveRetentionPolicyResponse:
        """Keep all of an asset again."""
        self._policies.remove(request.asset_id)
        return retention_pb2.RemoveRetentionPolicyResponse()


def _message(policy: RetentionPolicy) -> retention_pb2.RetentionPolicy:
    return retention_pb2.RetentionPolicy(
        asset_id=policy.asset_id,
        asset_name=policy.asset_name,
        age_seconds=policy.age_s or 0,
        size_bytes=policy.size_bytes or 0,
    )
