"""Finds the method of a service object behind every RPC of the protocol."""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import logging
import pkgutil
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pool, message_factory

import sift
from sift_server.errors import ServerError, UnimplementedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor

    from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
    from google.protobuf.message import Message

_logger = logging.getLogger(__name__)


class UnexpectedError(Exception):
    """Something failed that should not have; the log has the details."""


@dataclass(frozen=True, slots=True)
class Method:
    """An RPC, and what answers it.

    Attributes:
        descriptor: What the protocol says of it.
        path: Its path in gRPC.
        request_type: Class of its request.
        response_type: Class of its response.
        handler: What answers it, or None if this server does not have it.
    """

    descriptor: MethodDescriptor
    path: str
    request_type: type[Message]
    response_type: type[Message]
    handler: Callable[[Any], Message] | None

    @property
    def is_unary(self) -> bool:
        """Whether it takes one request and gives one response."""
        return not (self.descriptor.client_streaming or self.descriptor.server_streaming)


class Registry:
    """All RPCs of the protocol. Handlers run on the threads that it is given."""

    def __init__(self, services: Sequence[object], threads: Executor) -> None:
        """Take service objects, see `sift_server.api.services`."""
        by_name = {getattr(service, "SERVICE_NAME"): service for service in services}  # noqa: B009
        self.methods = [
            _method(descriptor, by_name.get(service.full_name))
            for service in _all_services()
            for descriptor in service.methods
        ]
        self._threads = threads

    async def call(self, method: Method, request: Message) -> Message:
        """Answer a request.

        Raises:
            ServerError: What the caller is to be told.
            UnexpectedError: The handler failed in a way that is its own fault.
        """
        if method.handler is None:
            raise UnimplementedError(f"this server does not have {method.descriptor.full_name}")
        loop = asyncio.get_running_loop()
        try:
            context = contextvars.copy_context()
            return await loop.run_in_executor(self._threads, context.run, method.handler, request)
        except ServerError:
            raise
        except Exception as error:
            _logger.exception("%s failed", method.descriptor.full_name)
            raise UnexpectedError(
                f"{method.descriptor.full_name} failed inside the server; its log says why"
            ) from error


def _method(descriptor: MethodDescriptor, service: object) -> Method:
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", descriptor.name).lower()
    return Method(
        descriptor,
        f"/{descriptor.containing_service.full_name}/{descriptor.name}",
        message_factory.GetMessageClass(descriptor.input_type),
        message_factory.GetMessageClass(descriptor.output_type),
        getattr(service, name, None),
    )


def _all_services() -> Iterator[ServiceDescriptor]:
    pool = descriptor_pool.Default()
    for module in pkgutil.walk_packages(sift.__path__, "sift."):
        if module.name.endswith("_pb2"):
            file = importlib.import_module(module.name).DESCRIPTOR
            for service in file.services_by_name.values():
                yield pool.FindServiceByName(service.full_name)
