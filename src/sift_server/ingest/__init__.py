"""From frames to durable, readable rows: decode, append to the log, publish.

`Ingestor` takes the frames of a stream; `FlowDirectory` tells it what flows look like; `Flusher`
moves what was taken from the hot columns into the table, and from the log into history.
`AcknowledgedKeys` knows batches that are sent again. `SchemalessIngest` makes flows for rows that
come without.
"""

from sift_server.ingest.acknowledged import AcknowledgedKeys
from sift_server.ingest.flows import FlowDirectory
from sift_server.ingest.flusher import Flusher
from sift_server.ingest.ingestor import IngestLimits, Ingestor, Taken
from sift_server.ingest.rejects import PendingRejects
from sift_server.ingest.schemaless import SchemalessIngest

__all__ = [
    "AcknowledgedKeys",
    "FlowDirectory",
    "Flusher",
    "IngestLimits",
    "Ingestor",
    "PendingRejects",
    "SchemalessIngest",
    "Taken",
]
