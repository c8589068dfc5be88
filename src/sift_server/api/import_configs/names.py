"""What all configs of imports say: asset and run."""

from __future__ import annotations

from typing import Protocol

from sift_server.errors import InvalidArgumentError


class Named(Protocol):
    """What configs have in common."""

    asset_name: str
    run_name: str
    run_id: str


def check_names(config: Named) -> None:
    """Check what a config says of asset and run.

    Raises:
        InvalidArgumentError: It names no asset, or two runs.
    """
    if not config.asset_name.strip():
        raise InvalidArgumentError("the config names no asset; give it an asset_name")
    if config.run_name and config.run_id:
        raise InvalidArgumentError(
            f"the config has a run_name, {config.run_name!r}, for a new run, and the run_id"
            f" {config.run_id!r}; give one of them"
        )
