"""The ingest log: what "acknowledged" rests on.

Bytes are appended, made durable with fsync, and can be replayed until they are discarded. Nothing
here knows what the bytes mean.
"""

from sift_server.log.base import (
    IngestLog,
    LogCorruptionError,
    LogError,
    LogFailedError,
    LogFullError,
    LogLimits,
    LogRecord,
)
from sift_server.log.files import FileLog

__all__ = [
    "FileLog",
    "IngestLog",
    "LogCorruptionError",
    "LogError",
    "LogFailedError",
    "LogFullError",
    "LogLimits",
    "LogRecord",
]
