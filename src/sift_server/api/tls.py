"""TLS as the port speaks it: versions and ciphers of today, and clients that show a certificate."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_TLS_1_2_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Encryption that also authenticates, with keys that are forgotten: what TLS 1.3 always has, and
all of TLS 1.2 that HTTP/2 allows (RFC 9113, section 9.2.2)."""

HANDSHAKE_MS_MAX = 10_000
"""How long a client may take to agree on TLS."""

SHUTDOWN_MS_MAX = 1_000
"""How long a client may take to agree that a connection ends."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The PEM files that TLS is made of.

    Attributes:
        cert: The server's certificate, followed by those that lead to an authority.
        key: Its private key, without a password.
        client_ca: Authorities, one of which has to have signed the certificate that a client shows;
            None to ask for none.
    """

    cert: Path
    key: Path
    client_ca: Path | None = None


def tls_context(files: TlsFiles) -> ssl.SSLContext:
    """Make the context of a server.

    Raises:
        OSError: A file can't be used; says which.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_TLS_1_2_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["h2", "http/1.1"])
    try:
        context.load_cert_chain(files.cert, files.key, password=_refuse_password)
    except (OSError, _PasswordError) as error:
        raise OSError(
            getattr(error, "errno", None),
            f"the TLS certificate {files.cert} with the key {files.key} can't be used: {error}",
        ) from None
    if files.client_ca is not None:
        try:
            context.load_verify_locations(files.client_ca)
        except OSError as error:
            raise OSError(
                error.errno,
                f"the certificates of client authorities in {files.client_ca} can't be used:"
                f" {error}",
            ) from None
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class _PasswordError(Exception):
    """A private key has a password."""


def _refuse_password() -> str:
    # OpenSSL would ask for it at the terminal, and wait.
    raise _PasswordError("the key has a password; write it without one, readable by its owner only")
