"""Certificates for servers of tests."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


def make_certificate(key: Path, certificate: Path, *, is_authority: bool) -> tuple[Path, Path]:
    """Write a key and a certificate for 127.0.0.1 that signs itself; skip without openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    subprocess.run(
        f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
        f" -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
        f" -addext basicConstraints=CA:{str(is_authority).upper()}"
        f" -keyout {key} -out {certificate}",
        shell=True,
        check=True,
        capture_output=True,
    )
    return key, certificate
