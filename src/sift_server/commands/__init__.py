"""The `sift` command."""

from sift_server.commands.main import main

__all__ = ["main"]
