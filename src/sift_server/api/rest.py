"""The REST door: JSON over the paths that the protocol's `google.api.http` options name.

Source of the mapping: google/api/http.proto. A path template has fields in braces; the body is the
whole message, or one field of it, or there is none; what is in neither is a query parameter.
"""

from __future__ import annotations

import json
import re
import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.api import annotations_pb2
from google.protobuf import json_format

from sift_server.api.access import require
from sift_server.api.asgi import send_body
from sift_server.api.auth import grant_of
from sift_server.api.grpc_status import GrpcCode, code_of
from sift_server.api.refusal import send_refusal
from sift_server.api.registry import Method, Registry, UnexpectedError
from sift_server.api.request_body import inflated, read_body
from sift_server.errors import InvalidArgumentError, ResourceExhaustedError, ServerError

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, FieldDescriptor

    from sift_server.api.asgi import Receive, Scope, Send
    from sift_server.api.request_bytes import RequestBytes

_VERBS = ("get", "put", "post", "delete", "patch")
_FIELD = re.compile(r"\{([^}=]+)\}")
_OLDER_PATH = re.compile(r"/api/v[01](?=/data-imports(?:[:/]|$))")
"""What published clients call of version 2 by the paths of older versions."""
_TERSE = frozenset({"sift.data_imports.v2.DataImportService.DetectConfig"})
"""Methods whose answers have no fields that say nothing: published clients refuse some of them."""


@dataclass(frozen=True, slots=True)
class _Route:
    verb: str
    pattern: re.Pattern[str]
    fields: tuple[str, ...]
    body: str
    method: Method


class RestApplication:
    """Answers REST requests with the registry's methods."""

    def __init__(self, registry: Registry, request_bytes: RequestBytes) -> None:
        self._registry = registry
        self._request_bytes = request_bytes
        self._routes = [
            route for method in registry.methods if (route := _route(method)) is not None
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        raw_path = scope.get("raw_path")
        path = raw_path.decode("utf-8", "replace") if raw_path else scope["path"]
        path = _OLDER_PATH.sub("/api/v2", path)
        found = [
            (route, match)
            for route in self._routes
            if (match := route.pattern.fullmatch(path)) is not None
        ]
        if not found:
            message = f"this server does not have {path}"
            await send_refusal(scope, send, GrpcCode.UNIMPLEMENTED, message)
            return
        verb = scope["method"].lower()
        mine = [(route, match) for route, match in found if route.verb == verb]
        if not mine:
            allowed = ", ".join(sorted({route.verb.upper() for route, _ in found}))
            message = f"{path} takes {allowed}, not {scope['method']}"
            await send_refusal(scope, send, GrpcCode.UNIMPLEMENTED, message)
            return
        # The most literal template wins: `rules:list` before `rules/{id}`.
        route, match = min(mine, key=lambda each: len(each[0].fields))
        try:
            require(grant_of(scope), route.method.descriptor)
            with self._request_bytes.counted(ResourceExhaustedError) as held:
                sent = await read_body(held.receiving(receive))
                body = inflated(scope, sent)
                if body is not sent:
                    held.add(len(body))
                query = scope["query_string"].decode("utf-8", "replace")
                request = _request(route, match, query, body)
                response = await self._registry.call(route.method, request)
        except ServerError as error:
            await send_refusal(scope, send, code_of(error), str(error))
        except RecursionError:
            # Of the body's parsers alone: what a method raises is one of the others.
            message = "the body is nested too deeply"
            await send_refusal(scope, send, GrpcCode.INVALID_ARGUMENT, message)
        except UnexpectedError as error:
            await send_refusal(scope, send, GrpcCode.INTERNAL, str(error))
        else:
            text = json_format.MessageToJson(
                response,
                always_print_fields_with_no_presence=route.method.descriptor.full_name
                not in _TERSE,
            )
            await send_body(send, 200, "application/json", text.encode())


def _route(method: Method) -> _Route | None:
    http = method.descriptor.GetOptions().Extensions[annotations_pb2.http]
    verb = http.WhichOneof("pattern")
    if verb not in _VERBS or not method.is_unary:
        return None
    template: str = getattr(http, verb)
    literal_and_fields = _FIELD.split(template)
    pattern = "".join(
        "([^/]+)" if index % 2 else re.escape(piece)
        for index, piece in enumerate(literal_and_fields)
    )
    return _Route(verb, re.compile(pattern), tuple(literal_and_fields[1::2]), http.body, method)


def _request(route: _Route, match: re.Match[str], query: str, body: bytes) -> Any:  # noqa: ANN401 (any message)
    descriptor = route.method.descriptor.input_type
    content: dict[str, Any] = {}
    if route.body and body:
        sent = _parsed(body)
        if route.body == "*":
            if not isinstance(sent, dict):
                raise InvalidArgumentError("the body must be a JSON object")
            content = sent
        else:
            content[route.body] = sent
    for name, values in urllib.parse.parse_qs(query, keep_blank_values=True).items():
        _place(content, descriptor, name, values)
    for name, text in zip(route.fields, match.groups(), strict=True):
        _place(content, descriptor, name, [urllib.parse.unquote(text)])
    request = route.method.request_type()
    try:
        json_format.ParseDict(content, request)
    except json_format.ParseError as error:
        raise InvalidArgumentError(f"the request does not fit: {error}") from None
    return request


def _parsed(body: bytes) -> Any:  # noqa: ANN401 (any JSON)
    try:
        return json.loads(body)
    except ValueError as error:
        raise InvalidArgumentError(f"the body is not JSON: {error}") from None


def _place(content: dict[str, Any], descriptor: Descriptor, name: str, values: list[str]) -> None:
    """Put a parameter, `a` or `a.b`, where it belongs in the JSON form of a message."""
    *parents, last = name.split(".")
    for parent in parents:
        field = _field(descriptor, parent, name)
        if field.message_type is None:
            raise InvalidArgumentError(f"there is no parameter {name!r}")
        spelling = field.json_name if field.json_name in content else field.name
        inner = content.setdefault(spelling, {})
        if not isinstance(inner, dict):
            raise InvalidArgumentError(
                f"the parameter {name!r} belongs into {parent!r}, which is no object in the body"
            )
        content = inner
        descriptor = field.message_type
    field = _field(descriptor, last, name)
    converted = [_converted(field, value, name) for value in values]
    content.pop(field.json_name, None)
    content[field.name] = converted if field.is_repeated else converted[-1]


def _field(descriptor: Descriptor, part: str, name: str) -> FieldDescriptor:
    for field in descriptor.fields:
        if part in (field.name, field.json_name):
            return field
    raise InvalidArgumentError(f"there is no parameter {name!r}")


def _converted(field: FieldDescriptor, text: str, name: str) -> object:
    """A parameter's text as the JSON of its field."""
    if field.type == field.TYPE_BOOL:
        if text not in ("true", "false"):
            raise InvalidArgumentError(f"{name} is true or false, not {text!r}")
        return text == "true"
    return text
