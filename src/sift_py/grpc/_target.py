"""What a URI says: where to connect, and whether with TLS."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from sift_py.errors import ChannelUriError

EMBEDDED_SCHEME = "embedded:"
HTTP_PORT = 80
HTTPS_PORT = 443

_TLS_OF_SCHEME = {"": None, "http": False, "https": True}
_FORMS = "Use 'HOST:PORT', 'https://HOST:PORT', 'http://HOST:PORT' or 'embedded:PATH'."


@dataclass(frozen=True, slots=True)
class ChannelTarget:
    """Where a channel leads.

    Attributes:
        host: A name or an address; IPv6 without brackets.
        port: 1 to 65535.
        use_tls: Whether the connection is encrypted.
    """

    host: str
    port: int
    use_tls: bool

    @property
    def authority(self) -> str:
        """`HOST:PORT`, with brackets around an IPv6 address."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def embedded_path(uri: str, *, use_ssl: bool | None) -> str | None:
    """Return the folder of an `embedded:PATH` URI; None for every other URI.

    Raises:
        ChannelUriError: The path is missing, or TLS is asked for.
    """
    if not uri.startswith(EMBEDDED_SCHEME):
        return None
    if use_ssl:
        raise ChannelUriError(
            f"the URI {uri!r} is a server inside this process, which has no TLS: leave out use_ssl."
        )
    path = uri.removeprefix(EMBEDDED_SCHEME)
    if not path.strip():
        raise ChannelUriError(f"the URI {uri!r} names no folder. {_FORMS}")
    return path


def parse_target(uri: str, *, use_ssl: bool | None) -> ChannelTarget:
    """Read `HOST`, `HOST:PORT`, or either behind `http://` or `https://`.

    Args:
        uri: The URI. Without a port, 443 with TLS and 80 without.
        use_ssl: Decides for a URI without scheme, where None means TLS. Must not contradict a
            scheme.

    Raises:
        ChannelUriError: The URI is none of these, or `use_ssl` contradicts its scheme.
    """
    scheme, separator, rest = uri.strip().partition("://")
    if not separator:
        scheme, rest = "", scheme
    if scheme.lower() not in _TLS_OF_SCHEME:
        raise ChannelUriError(f"the URI {uri!r} has the unknown scheme {scheme!r}. {_FORMS}")
    use_tls = _TLS_OF_SCHEME[scheme.lower()]
    if use_tls is None:
        use_tls = use_ssl is not False
    elif use_ssl not in {None, use_tls}:
        raise ChannelUriError(
            f"the URI {uri!r} contradicts use_ssl={use_ssl}: '{scheme}://' means"
            f" {'TLS' if use_tls else 'plaintext'}. Change one, or leave out use_ssl."
        )
    host, port = _split_authority(uri, rest.removesuffix("/"))
    return ChannelTarget(host, port or (HTTPS_PORT if use_tls else HTTP_PORT), use_tls)


def _split_authority(uri: str, authority: str) -> tuple[str, int | None]:
    if any(character in "/?#@\\" or character.isspace() for character in authority):
        raise ChannelUriError(f"the URI {uri!r} has more than a host and a port. {_FORMS}")
    if authority.count(":") > 1 and not authority.startswith("["):
        raise ChannelUriError(
            f"the URI {uri!r} has an IPv6 address without brackets, or two ports."
            " Write [::1]:50051."
        )
    try:
        parts = urlsplit(f"//{authority}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ChannelUriError(f"the URI {uri!r} can't be read: {error}. {_FORMS}") from None
    if not host or port == 0:
        raise ChannelUriError(f"the URI {uri!r} has no host, or port 0. {_FORMS}")
    return host, port
