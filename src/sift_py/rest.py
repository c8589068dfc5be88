"""Where REST calls go, and who asks."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from sift_py.errors import ChannelUriError
from sift_py.grpc._target import EMBEDDED_SCHEME, ChannelTarget, parse_target

__all__ = ["SiftRestConfig", "compute_uri"]


class SiftRestConfig(TypedDict):
    """Where to connect, and who asks.

    Attributes:
        uri: `HOST` or `HOST:PORT` (TLS), `https://HOST:PORT` (TLS) or `http://HOST:PORT`
            (plaintext).
        apikey: The API key: printable ASCII.
        retry: As in published releases, where it is a `Retry` of urllib3. Calls are tried again
            here without it, and it is not looked at.
        use_ssl: TLS or plaintext for a URI without scheme; TLS when left out.
        cert_via_openssl: As in published releases. The certificates of the system are used in any
            case; a private authority is named by `GRPC_DEFAULT_SSL_ROOTS_FILE_PATH`.
    """

    uri: str
    apikey: str
    retry: NotRequired[Any]
    use_ssl: NotRequired[bool]
    cert_via_openssl: NotRequired[bool]


def compute_uri(restconf: SiftRestConfig) -> str:
    """The URI of a config, with its scheme and port.

    Raises:
        ChannelUriError: It makes no sense, or `use_ssl` contradicts it.
    """
    target = rest_target(restconf)
    return f"{'https' if target.use_tls else 'http'}://{target.authority}"


def rest_target(restconf: SiftRestConfig) -> ChannelTarget:
    """Where a config leads; raises as `compute_uri`."""
    if restconf["uri"].startswith(EMBEDDED_SCHEME):
        raise ChannelUriError(
            f"REST calls need a server with an address, and {restconf['uri']!r} has none: serve the"
            " folder with 'sift serve', and name its address"
        )
    return parse_target(restconf["uri"], use_ssl=restconf.get("use_ssl"))
