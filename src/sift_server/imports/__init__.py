"""Files that clients send, or have fetched: kept until they are read, and sent on like a stream.

`uploads` keeps them, `fetching` gets those behind URLs, `worker` does one import after the other,
`reading` reads a file as its `plan` has it, `columns` and `points` make messages of its rows, which
take the way that the messages of streams take. Formats are the business of `sift_files`.
"""

from sift_server.imports.fetching import UrlPolicy, check_url
from sift_server.imports.limits import ImportLimits
from sift_server.imports.plan import ImportPlan
from sift_server.imports.uploads import Upload, UploadFolder
from sift_server.imports.worker import ImportWorker

__all__ = [
    "ImportLimits",
    "ImportPlan",
    "ImportWorker",
    "Upload",
    "UploadFolder",
    "UrlPolicy",
    "check_url",
]
