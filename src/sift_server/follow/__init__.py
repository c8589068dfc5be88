"""Points as they come, for whoever follows them: encoded once, sent as fast as each one reads.

`Feed` is told what is published, and gives it to its `Follower`s. What a follower has no room for
it reads from the store, once it has.
"""

from sift_server.follow.backlog import Backlog
from sift_server.follow.feed import FOLLOWERS_MAX, Feed
from sift_server.follow.follower import Follower
from sift_server.follow.history import History
from sift_server.follow.selection import Selection

__all__ = ["FOLLOWERS_MAX", "Backlog", "Feed", "Follower", "History", "Selection"]
