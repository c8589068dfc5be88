"""Which calls are let in: those with a key that is good, or all that come from this machine.

Keys are looked up by the id that is written in them, which is no secret, and compared by their
hashes, in a time that tells nothing of either. That costs no SQL: a thread looks twice a second
whether the catalog's keys changed, so a key that was revoked or made by another process is refused
or let in within `KEY_LOOK_INTERVAL_MS`. That a key expires is looked at with every call.
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
import threading
import time
import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sift_server.api.asgi import header
from sift_server.catalog import Scope
from sift_server.catalog.api_keys import digest_of, id_in
from sift_server.errors import UnauthenticatedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sift_server.api.asgi import Event, Receive
    from sift_server.api.asgi import Scope as CallScope
    from sift_server.catalog import ApiKey, ApiKeys

KEY_LOOK_INTERVAL_MS = 500
"""How often a server looks whether its keys changed."""

FOLDER_KEY_NAME = "the folder's key"

_BEARER = "Bearer "
_HINT = (
    "Send it as 'authorization: Bearer KEY'. It is one that 'sift keys create' made, or the"
    " SIFT_API_KEY of the server, or else in the file api_key of the server's data folder."
)

_logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Grant:
    """What a call may do, because of the key that it carries. All calls of a key share it.

    Attributes:
        name: The key's name.
        scopes: What it is good for.
        expires_ns: When it ends by itself, in nanoseconds since 1970 in UTC; None for never.
        ended: Why it is good for nothing any more, empty while it is. Set by the thread that looks.
    """

    name: str
    scopes: frozenset[Scope]
    expires_ns: int | None = None
    ended: str = ""

    def check(self) -> None:
        """Check that it is still good.

        Raises:
            UnauthenticatedError: It is not; says why.
        """
        if self.expires_ns is not None and time.time_ns() >= self.expires_ns:
            self.ended = "expired"
        if self.ended:
            raise UnauthenticatedError(f"the API key {self.name!r} {self.ended}. {_HINT}")

    def guarded(self, receive: Receive) -> Receive:
        """Give what a call receives for as long as the key is good.

        A stream may be open for days: of what comes after its key ended, nothing is taken.
        """

        async def receive_while_good() -> Event:
            event = await receive()
            if self.ended or self.expires_ns is not None:
                self.check()
            return event

        return receive_while_good


ALL_SCOPES = frozenset(Scope)


@dataclass(frozen=True, slots=True)
class _Key:
    digest: bytes
    grant: Grant


class KeyRing:
    """The keys of a server. `admit` is safe from many threads, `replace` is called from one."""

    def __init__(self, folder_key: str) -> None:
        """Take the key of the folder, which is good for everything."""
        self._folder = _Key(digest_of(folder_key.encode()), Grant(FOLDER_KEY_NAME, ALL_SCOPES))
        self._keys: dict[str, _Key] = {}

    def replace(self, keys: Iterable[ApiKey]) -> None:
        """Take what is known of the other keys now, those that ended too."""
        before = self._keys
        after: dict[str, _Key] = {}
        for key in keys:
            known = before.get(key.key_id)
            if known is None or known.digest != key.digest:
                known = _Key(key.digest, Grant(key.name, _all_of(key.scopes), key.expires_ns))
            known.grant.ended = key.end(time.time_ns())
            after[key.key_id] = known
        for key_id in before.keys() - after.keys():
            before[key_id].grant.ended = "was revoked"
        self._keys = after

    def admit(self, scope: CallScope) -> Grant:
        """Return what the call of an ASGI scope may do.

        Raises:
            UnauthenticatedError: Nothing; says why, and what to do.
        """
        sent = header(scope, b"authorization")
        if not sent:
            raise UnauthenticatedError(f"the call has no API key. {_HINT}")
        # Never told apart by the time that it takes: both are compared, whole hashes of them.
        text = sent.removeprefix(_BEARER) if sent.startswith(_BEARER) else ""
        digest = digest_of(text.encode("latin-1"))
        other = self._keys.get(id_in(text), self._folder)
        is_folder = hmac.compare_digest(digest, self._folder.digest)
        is_other = hmac.compare_digest(digest, other.digest)
        if not is_folder | is_other:
            raise UnauthenticatedError(f"the API key is wrong. {_HINT}")
        grant = self._folder.grant if is_folder else other.grant
        grant.check()
        return grant


def _all_of(scopes: frozenset[Scope]) -> frozenset[Scope]:
    return ALL_SCOPES if Scope.ADMIN in scopes else scopes


class KeyWatch:
    """Keeps a ring as the catalog has it, by a thread. `start` and `stop` are called once each."""

    def __init__(self, ring: KeyRing, keys: ApiKeys) -> None:
        self._ring = ring
        self._keys = keys
        self._seen = -1
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sift-keys", daemon=True)

    def start(self) -> None:
        """Take the keys that there are, and begin to look for changes."""
        self.look()
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._thread.join()

    def look(self) -> None:
        """Take the keys if they changed."""
        change = self._keys.change()
        if change != self._seen:
            self._ring.replace(self._keys.all())
            self._seen = change

    def _run(self) -> None:
        while not self._stopping.wait(KEY_LOOK_INTERVAL_MS / 1_000):
            try:
                self.look()
            except Exception:
                # The next look may find the catalog in a better state; until then the keys are
                # those that were known.
                _logger.exception("the API keys can't be read from the catalog")


class OpenDoor:
    """Lets in every call that comes from a program of this machine: `--no-auth`.

    A web page that is open in a browser here is none: what it sends has its own origin, or the name
    of its own host, which it may have pointed at this machine.
    """

    def __init__(self) -> None:
        self._grant = Grant("no key", ALL_SCOPES)

    def admit(self, scope: CallScope) -> Grant:
        """Return what the call of an ASGI scope may do.

        Raises:
            UnauthenticatedError: It comes from a web page, or through another name.
        """
        host = _host_of(f"//{header(scope, b'host')}")
        origin = header(scope, b"origin")
        if not is_loopback(host) or (origin and not is_loopback(_host_of(origin))):
            raise UnauthenticatedError(
                "this server takes calls without a key, and so only those that programs of its own"
                " machine make to 'localhost' or a loopback address; this one names"
                f" {origin or host!r}"
            )
        return self._grant


def _host_of(url: str) -> str:
    try:
        return urllib.parse.urlsplit(url).hostname or ""
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself, as it is written: names are not looked up."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
