"""The ingestion services of several telemetry configs, by name."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self, TypeAlias, TypedDict

from sift_py._internal import unsent
from sift_py.errors import IngestionServiceManagerError
from sift_py.grpc.retry import DEFAULT_RETRY_POLICY
from sift_py.grpc.transport import SiftChannel
from sift_py.ingestion.service import IngestionService
from sift_py.ingestion.spill import DEFAULT_SPILL_LIMITS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

    from sift_py.grpc.retry import RetryPolicy
    from sift_py.ingestion.config.telemetry import TelemetryConfig
    from sift_py.ingestion.spill import SpillLimits

__all__ = [
    "IngestionConfigServiceBuilderIdentifierMap",
    "IngestionServiceBuilder",
    "IngestionServiceManagerError",
    "IngestionServicesManager",
    "TelemetryConfigByIdentifierMap",
]

IngestionServiceBuilder: TypeAlias = Callable[[SiftChannel], IngestionService]
"""Makes an ingestion service on a channel."""


class TelemetryConfigByIdentifierMap(TypedDict):
    """A telemetry config, and the identifier of its ingestion service."""

    identifier: str
    telemetry_config: TelemetryConfig


class IngestionConfigServiceBuilderIdentifierMap(TypedDict):
    """A builder, and the identifier of the ingestion service that it makes."""

    identifier: str
    builder: IngestionServiceBuilder


class IngestionServicesManager:
    """Holds the ingestion services of several telemetry configs on one channel.

    In a with-block, its end closes all of them. Safe from many threads: nothing changes after
    construction.

    Attributes:
        transport_channel: The channel that all services share.
        ingestion_services: The services by identifier.

    Example:
        ```python
        manager = IngestionServicesManager.from_telemetry_configs(
            channel, {"engine": engine_config, "avionics": avionics_config}
        )
        with manager.ingestion_service("engine") as engine:
            engine.try_ingest_flows(flow)
        ```
    """

    def __init__(
        self, transport_channel: SiftChannel, ingestion_services: Mapping[str, IngestionService]
    ) -> None:
        self.transport_channel = transport_channel
        self.ingestion_services = dict(ingestion_services)

    @classmethod
    def from_builders(
        cls, channel: SiftChannel, builders: Mapping[str, IngestionServiceBuilder]
    ) -> Self:
        """Make each service with its own function, for options that the default lacks.

        Raises:
            IngestionValidationError: A config contradicts what the server has.
            grpc.RpcError: A call failed.
        """
        services = {identifier: builder(channel) for identifier, builder in builders.items()}
        return cls(channel, services)

    @classmethod
    def from_telemetry_configs(
        cls,
        channel: SiftChannel,
        telemetry_configs: Mapping[str, TelemetryConfig],
        *,
        retry_policy: RetryPolicy | None = DEFAULT_RETRY_POLICY,
        spill_dir: str | Path | None = None,
        spill_limits: SpillLimits = DEFAULT_SPILL_LIMITS,
    ) -> Self:
        """Make a service for each telemetry config; what can be chosen is the same for all.

        Args:
            channel: As for `IngestionService`.
            telemetry_configs: By identifier.
            retry_policy: As for `IngestionService`.
            spill_dir: As for `IngestionService`; the services share the folder, and its limits.
            spill_limits: As for `IngestionService`.

        Raises:
            IngestionValidationError: A config contradicts what the server has.
            SpillError: The spill folder can't be used.
            grpc.RpcError: A call failed.
        """
        services = {
            identifier: IngestionService(
                channel,
                config,
                retry_policy=retry_policy,
                spill_dir=spill_dir,
                spill_limits=spill_limits,
            )
            for identifier, config in telemetry_configs.items()
        }
        return cls(channel, services)

    @classmethod
    def from_telementry_configs(
        cls, channel: SiftChannel, telemetry_configs: Mapping[str, TelemetryConfig]
    ) -> Self:
        """Do what `from_telemetry_configs` does, under the name that the release notes spell."""
        return cls.from_telemetry_configs(channel, telemetry_configs)

    def get_ingestion_service_by_identifier(self, identifier: str) -> IngestionService | None:
        """Return the service of an identifier, or None."""
        return self.ingestion_services.get(identifier)

    def __getitem__(self, identifier: str) -> IngestionService | None:
        return self.get_ingestion_service_by_identifier(identifier)

    @contextmanager
    def ingestion_service(self, identifier: str) -> Iterator[IngestionService]:
        """Give the service of an identifier to a with-block, whose end flushes it.

        Raises:
            IngestionServiceManagerError: There is no such service; names those that there are.
            NotAcknowledgedError: As in `IngestionService.flush`.
        """
        service = self.get_ingestion_service_by_identifier(identifier)
        if service is None:
            known = ", ".join(f"'{each}'" for each in self.ingestion_services) or "none"
            raise IngestionServiceManagerError(
                f"no ingestion service '{identifier}'; the manager has: {known}."
            )
        try:
            yield service
        except BaseException as error:
            unsent.end_after(error, service.flush, "The flush of the ingestion service")
            raise
        service.flush()

    def close(self) -> None:
        """Close all services, also when some fail.

        Raises:
            NotAcknowledgedError: The first that one raised; other failures are notes on it.
            SpillError: As in `IngestionService.close`.
        """
        services = self.ingestion_services.values()
        unsent.end_all([each.close for each in services], "Closing another ingestion service")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        if exc_val is None:
            self.close()
        else:
            unsent.end_after(exc_val, self.close, "Closing the ingestion services")
