"""Files behind URLs: fetched by this server, from where it may.

Whoever may create an import from a URL has this server make a request. So that this opens no door
to machines that only the server can reach, it is off unless `sift serve --import-urls` says
otherwise; `public` lets it reach public addresses only. A name is looked up once, and the
connection goes to the address that was checked. Redirects are followed as if each were a URL of its
own.
"""

from __future__ import annotations

import enum
import http.client
import ipaddress
import socket
import ssl
import time
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from sift_server.errors import FailedPreconditionError, InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sift_server.imports.uploads import Upload

URL_CHARS_MAX = 4_096
REDIRECTS_MAX = 5
READ_BYTES = 1024 * 1024
FETCH_S_MAX = 3_600
"""How long a file may be on its way: others wait for it."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class UrlPolicy(enum.StrEnum):
    """Which URLs files are fetched from."""

    OFF = "off"
    PUBLIC = "public"
    ANY = "any"


class FetchError(FailedPreconditionError):
    """A file could not be fetched; says from where and why."""


def check_url(url: str, policy: UrlPolicy) -> None:
    """Check what can be checked of a URL before anything is fetched.

    Raises:
        FailedPreconditionError: Files are not fetched by this server.
        InvalidArgumentError: It is none that files are fetched from.
    """
    if policy is UrlPolicy.OFF:
        raise FailedPreconditionError(
            "this server fetches no files from URLs, so that nobody can have it call machines that"
            " only it can reach; upload the file, or start it with 'sift serve --import-urls"
            " public' (or 'any')"
        )
    _split(url)


def fetch(
    url: str,
    policy: UrlPolicy,
    upload: Upload,
    silence_ms_max: int,
    goes_on: Callable[[], bool],
) -> str:
    """Write what is behind a URL to an upload; returns the name that the URL gives the file.

    Raises:
        FetchError: It can't be fetched.
        InvalidArgumentError: It, or where it leads to, is no URL that files are fetched from.
        ResourceExhaustedError: The file is too large.
        DiskFullError: The disk is full.
    """
    for _ in range(REDIRECTS_MAX + 1):
        parts = _split(url)
        connection = _connection(parts, policy, silence_ms_max / 1_000)
        try:
            target = parts.path or "/"
            target += f"?{parts.query}" if parts.query else ""
            connection.request("GET", target, headers={"accept-encoding": "identity"})
            answer = connection.getresponse()
            location = answer.getheader("location")
            if answer.status in _REDIRECTS and location:
                url = urljoin(url, location)
                continue
            if answer.status != http.client.OK:
                raise FetchError(f"{url} answers {answer.status} {answer.reason}")
            _read(answer, upload, url, goes_on)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise FetchError(f"{url} can't be fetched: {error}") from None
        finally:
            connection.close()
        return unquote(parts.path.rpartition("/")[2])
    raise FetchError(f"{url} is the end of more than {REDIRECTS_MAX} redirects")


def _read(
    answer: http.client.HTTPResponse, upload: Upload, url: str, goes_on: Callable[[], bool]
) -> None:
    expected = answer.getheader("content-length")
    until_s = time.monotonic() + FETCH_S_MAX
    while goes_on() and (data := answer.read1(READ_BYTES)):
        upload.write(data)
        if time.monotonic() > until_s:
            raise FetchError(f"{url} takes longer than {FETCH_S_MAX:,} s; upload the file instead")
    # `read1` says nothing of an answer that is cut off.
    if expected is not None and upload.size < int(expected) and goes_on():
        raise FetchError(
            f"{url} broke off after {upload.size:,} of {int(expected):,} bytes; retry the import"
        )


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidArgumentError(f"the URL can't be read: {error}") from None
    if len(url) > URL_CHARS_MAX or not url.isascii() or any(one <= " " for one in url):
        raise InvalidArgumentError(
            f"a URL has up to {URL_CHARS_MAX:,} characters of ASCII and no blanks; escape others"
        )
    if parts.scheme not in _PORTS:
        raise InvalidArgumentError(
            f"files are fetched from http:// and https://, and not from {parts.scheme or 'a path'}:"
            " upload the file instead"
        )
    if not parts.hostname or port == 0 or parts.username is not None:
        raise InvalidArgumentError(
            "the URL needs a host, and no user or password in it; for a file behind a password,"
            " upload it instead"
        )
    return parts


def _connection(
    parts: SplitResult, policy: UrlPolicy, timeout_s: float
) -> http.client.HTTPConnection:
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise FetchError(f"the host {host!r} is not known: {error}") from None
    addresses = [each[4][0] for each in found]
    if policy is not UrlPolicy.ANY:
        addresses = [each for each in addresses if _is_public(str(each))]
    if not addresses:
        raise FetchError(
            f"the host {host!r} is at no public address, and this server fetches files from public"
            " addresses only ('sift serve --import-urls any' would let it)"
        )
    # The address that was checked, whatever the name leads to by now.
    return _Connection(host, port, timeout_s, str(addresses[0]), is_tls=parts.scheme == "https")


class _Connection(http.client.HTTPConnection):
    """A connection to an address, for a host that is said to be there."""

    def __init__(
        self, host: str, port: int, timeout_s: float, address: str, *, is_tls: bool
    ) -> None:
        super().__init__(host, port, timeout=timeout_s)
        self.default_port = _PORTS["https" if is_tls else "http"]
        self._address = address
        self._context = ssl.create_default_context() if is_tls else None

    def connect(self) -> None:
        self.sock = socket.create_connection((self._address, self.port), self.timeout)
        if self._context is not None:
            self.sock = self._context.wrap_socket(self.sock, server_hostname=self.host)


def _is_public(address: str) -> bool:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour
        if parsed in _NAT64:
            inner = ipaddress.IPv4Address(int(parsed) & 0xFFFF_FFFF)
        if inner is not None:
            parsed = inner
    return parsed.is_global and not parsed.is_multicast
