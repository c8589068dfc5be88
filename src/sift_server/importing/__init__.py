"""Files into an asset: what a plan of `sift_files` becomes on a server, and how it is sent.

A table is a flow. Rows are read ahead while those before are sent, and what was acknowledged is
noted, so that an import that was broken off goes on where it was.
"""

from sift_server.importing.ahead import read_ahead
from sift_server.importing.config import common_flow_names, telemetry_config
from sift_server.importing.notes import ImportNote, NoteFolder, content_hash
from sift_server.importing.sending import FileImport, Imported

__all__ = [
    "FileImport",
    "ImportNote",
    "Imported",
    "NoteFolder",
    "common_flow_names",
    "content_hash",
    "read_ahead",
    "telemetry_config",
]
