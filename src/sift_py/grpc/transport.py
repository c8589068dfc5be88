"""Opens channels to a server, or to a folder.

Example:
    ```python
    from sift_py.grpc.transport import SiftChannelConfig, use_sift_channel

    config = SiftChannelConfig(uri="telemetry.example.com", apikey="my-key")
    with use_sift_channel(config) as channel:
        ping = PingServiceStub(channel).Ping(PingRequest())
    ```
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NotRequired, TypeAlias, TypedDict

import grpc

from sift_py.errors import ChannelUriError, EmbeddedServerError
from sift_py.grpc._channel import TargetChannel
from sift_py.grpc._interceptors import Metadata, MetadataInterceptor
from sift_py.grpc._target import ChannelTarget, embedded_path, parse_target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["SiftChannel", "SiftChannelConfig", "use_sift_channel"]

KEEPALIVE_INTERVAL_MS = 20_000
KEEPALIVE_TIMEOUT_MS = 20_000
RECEIVE_MESSAGE_BYTES_MAX = 50 * 1024 * 1024
"""Flow listings of large configs outgrow gRPC's own 4 MiB."""

# https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, "Custom-Metadata"
_METADATA_NAME = re.compile(r"[0-9a-z_.-]+")
_METADATA_VALUE = re.compile(r"[ -~]*")
_BINARY_SUFFIX = "-bin"

SiftChannel: TypeAlias = grpc.Channel
"""What every service takes. Any `grpc.Channel` will do; `use_sift_channel` makes one."""


class SiftChannelConfig(TypedDict):
    """Where to connect, and who asks.

    Attributes:
        uri: `HOST` or `HOST:PORT` (TLS), `https://HOST:PORT` (TLS), `http://HOST:PORT` (plaintext),
            or `embedded:PATH`: a server in this process, on the folder `PATH`.
        apikey: The API key: printable ASCII. Needed, except for `embedded:PATH`.
        use_ssl: TLS or plaintext for a URI without scheme; TLS when left out.
        metadata: More metadata for every call: names in any case, values of printable ASCII.
    """

    uri: str
    apikey: NotRequired[str]
    use_ssl: NotRequired[bool]
    metadata: NotRequired[dict[str, str]]


def use_sift_channel(config: SiftChannelConfig) -> SiftChannel:
    """Open a channel. Nothing is sent until the first call.

    Every call carries `authorization: Bearer <apikey>` and the config's metadata; what a call
    brings of its own is kept, unless it has the same name. Idle connections are kept alive with a
    ping every 20 s, and messages of up to 50 MiB are received. A server that stops answering ends
    calls with `UNAVAILABLE`: an ingest stream after 60 s in which it took nothing and said nothing,
    other calls when a ping was not answered for 20 s.

    A server behind `embedded:PATH` is started here, and stopped when the last channel to its folder
    is closed. A private certificate authority is named by the environment variable
    `GRPC_DEFAULT_SSL_ROOTS_FILE_PATH`.

    The channel is safe to use from many threads, and in a with-block, which closes it.

    Raises:
        KeyError: `uri` or `apikey` is missing.
        ChannelUriError: The URI makes no sense, `use_ssl` contradicts it or is not a bool, or the
            key or the metadata can't be sent. The message never has the key in it.
        EmbeddedServerError: The embedded server is not installed or can't start.
    """
    return _open(config, config.get("use_ssl"))


def _use_insecure_sift_channel(config: SiftChannelConfig) -> SiftChannel:
    """Open a channel as `use_sift_channel` does, in plaintext. For development."""
    return _open(config, config.get("use_ssl", False))


def _open(config: SiftChannelConfig, use_ssl: bool | None) -> TargetChannel:
    uri = config["uri"]
    if "use_ssl" in config and not isinstance(use_ssl, bool):
        # A string such as "false" would count as true.
        raise ChannelUriError(f"use_ssl is {use_ssl!r}: set True or False, or leave it out.")
    path = embedded_path(uri, use_ssl=use_ssl)
    if path is None:
        target = parse_target(uri, use_ssl=use_ssl)
        return _connect(target, _metadata(config, config["apikey"]))
    address, api_key, close = _start_embedded(path)
    target = parse_target(address, use_ssl=False)
    return _connect(target, _metadata(config, api_key), close)


def _metadata(config: SiftChannelConfig, api_key: str) -> Metadata:
    _check_value("the apikey", api_key)
    extra: Mapping[str, str] = config.get("metadata", {})
    entries: dict[str, str] = {}
    for name, value in extra.items():
        lower_name = name.lower()
        if not _METADATA_NAME.fullmatch(lower_name) or lower_name.endswith(_BINARY_SUFFIX):
            raise ChannelUriError(
                f"the metadata name {name!r} can't be sent: use ASCII letters, digits, '-', '_' and"
                f" '.', and no {_BINARY_SUFFIX!r} at the end, which stands for bytes."
            )
        _check_value(f"the metadata {name!r}", value)
        entries[lower_name] = value
    return tuple({**entries, "authorization": f"Bearer {api_key}"}.items())


def _check_value(what: str, value: object) -> None:
    """Check what a transport would refuse with the value, perhaps a secret, in its words."""
    if not isinstance(value, str):
        raise ChannelUriError(f"{what} must be a string, not {type(value).__name__}.")
    if not _METADATA_VALUE.fullmatch(value):
        raise ChannelUriError(
            f"{what} can't be sent: it has a character that is not printable ASCII. Was a line"
            " break read with it? Strip it."
        )


def _connect(
    target: ChannelTarget,
    metadata: Metadata,
    on_close: Callable[[], None] | None = None,
) -> TargetChannel:
    options: list[tuple[str, int]] = [
        ("grpc.keepalive_time_ms", KEEPALIVE_INTERVAL_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        # Otherwise gRPC stops after two pings without data, and a proxy drops the connection.
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.max_receive_message_length", RECEIVE_MESSAGE_BYTES_MAX),
    ]
    if on_close is not None:
        # A proxy for the network has no way into this process.
        options.append(("grpc.enable_http_proxy", 0))
    if target.use_tls:
        channel = grpc.secure_channel(target.authority, grpc.ssl_channel_credentials(), options)
    else:
        channel = grpc.insecure_channel(target.authority, options)
    intercepted = grpc.intercept_channel(channel, MetadataInterceptor(metadata))
    return TargetChannel(intercepted, target, metadata, on_close)


def _start_embedded(path: str) -> tuple[str, str, Callable[[], None]]:
    try:
        # The client works without the server, and starts faster without loading it.
        from sift_server.embedded import open_embedded  # noqa: PLC0415
    except ImportError as error:
        raise EmbeddedServerError(
            f"'embedded:{path}' needs the server, which can't be imported here: {error}."
            " Install it with: pip install 'sift-py[server]'"
        ) from error
    try:
        server = open_embedded(path)
    except RuntimeError as error:
        raise EmbeddedServerError(f"'embedded:{path}' can't start: {error}") from error
    return server.address, server.api_key, server.close
