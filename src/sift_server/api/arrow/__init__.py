"""The Arrow door: questions in JSON, answers as Arrow streams, however large.

```text
POST /arrow/v1/data      points of channels: the question is a `sift.data.v2.GetDataRequest`
POST /arrow/v1/overview  what a channel is like in buckets of time: see `overview.py`
POST /arrow/v1/sql       what a statement asks for: the question is `{"statement": "SELECT ..."}`
POST /arrow/v1/follow    points as they come: see `follow.py`
```

An answer is Arrow IPC streams, one behind the other, each with its own schema; none if there is
nothing. One whose schema has the metadata `sift.error` ends an answer that could not be finished: a
JSON object with `code`, a number of gRPC's, and `message`. One with `sift.beat` says nothing but
that the server is there.
"""

from sift_server.api.arrow.data import DataQuestions
from sift_server.api.arrow.door import (
    ANSWER_THREADS,
    PREFIX,
    ArrowDoor,
    ArrowStream,
    OpenQuestion,
    Question,
    Questions,
)
from sift_server.api.arrow.follow import FollowQuestion
from sift_server.api.arrow.overview import OverviewQuestions
from sift_server.api.arrow.sql import SqlQuestions

__all__ = [
    "ANSWER_THREADS",
    "PREFIX",
    "ArrowDoor",
    "ArrowStream",
    "DataQuestions",
    "FollowQuestion",
    "OpenQuestion",
    "OverviewQuestions",
    "Question",
    "Questions",
    "SqlQuestions",
]
