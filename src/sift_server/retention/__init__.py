"""Deletes points: those that somebody names, and those that are too old or too many.

`Deletion` is for what is named, `RetentionKeeper` for what the policies of assets say. Both flush
first, so that what was acknowledged before is seen, and have the lake remove it in one commit.
"""

from sift_server.retention.deletion import Deleted, Deletion
from sift_server.retention.keeper import RetentionKeeper

__all__ = ["Deleted", "Deletion", "RetentionKeeper"]
