"""The key that callers must send."""

from __future__ import annotations

import os
import secrets
import stat
from typing import TYPE_CHECKING

from sift_server.data_dir import DataDirectoryError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ENVIRONMENT_VARIABLE = "SIFT_API_KEY"
_KEY_BYTES = 32
_OWNER_ONLY = 0o600


def load_or_create_api_key(path: Path, environment: Mapping[str, str] = os.environ) -> str:
    """The value of `SIFT_API_KEY` if it is set, else the key in a file, made at the first call.

    The file is readable by its owner only; a file that others could read is closed to them.

    Raises:
        DataDirectoryError: The file is empty, or can't be read or written.
    """
    from_environment = environment.get(ENVIRONMENT_VARIABLE, "").strip()
    if from_environment:
        return from_environment
    try:
        return _load(path)
    except FileNotFoundError:
        return _create(path)
    except OSError as error:
        raise DataDirectoryError(f"the API key in {path} can't be read: {error}") from None


def _load(path: Path) -> str:
    key = path.read_text(encoding="utf-8").strip()
    if not key:
        raise DataDirectoryError(
            f"{path} is empty. Write a key into it, or delete it to have a new one made."
        )
    if stat.S_IMODE(path.stat().st_mode) != _OWNER_ONLY:
        path.chmod(_OWNER_ONLY)
    return key


def _create(path: Path) -> str:
    key = secrets.token_urlsafe(_KEY_BYTES)
    partial = path.with_suffix(".new")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(key + "\n")
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
    return key
