"""`sift.ping.v1.PingService`: whether the server answers, and the key is right."""

from __future__ import annotations

from sift.ping.v1 import ping_pb2


class PingService:
    """Answers pings."""

    SERVICE_NAME = "sift.ping.v1.PingService"

    def ping(self, _request: ping_pb2.PingRequest) -> ping_pb2.PingResponse:
        """Answer."""
        return ping_pb2.PingResponse(response="pong")
