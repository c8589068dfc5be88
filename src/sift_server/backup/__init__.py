"""Copies of a folder that can be trusted: made while it is served, verified, whole or not there.

`make_backup` copies, `check_backup` reads a copy again, `restore_backup` makes a folder of it.
"""

from sift_server.backup.manifest import BackupError, Manifest
from sift_server.backup.restore import check_backup, restore_backup
from sift_server.backup.snapshot import Backup, bytes_to_copy, make_backup

__all__ = [
    "Backup",
    "BackupError",
    "Manifest",
    "bytes_to_copy",
    "check_backup",
    "make_backup",
    "restore_backup",
]
