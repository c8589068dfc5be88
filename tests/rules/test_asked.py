"""Conditions that somebody asks about."""

from __future__ import annotations

from random import Random

import numpy as np
import pyarrow as pa
import pytest

from rules.test_arrival_order import ALWAYS, condition_of, views_of
from sift_server.errors import ResourceExhaustedError
from sift_server.lake import Points
from sift_server.rules.explicit import evaluate_range
from sift_server.rules.replay import STRETCHES_MAX
from sift_wire.columns import DataType
from support.storage import Storage


class OneWindow(Random):
    """Reads everything at once, or nearly so."""

    def randint(self, a, b):
        """The most."""
        del a, b
        return 10_000


@pytest.mark.parametrize(
    ("count", "is_refused"), [(STRETCHES_MAX, False), (STRETCHES_MAX + 1, True)]
)
def test_what_is_true_too_often_is_refused(count, is_refused):
    """With the limit, and what to do."""
    condition, storage = condition_of("$1 > 0"), Storage(OneWindow(1))
    values = np.tile(np.array([1.0, 0.0]), count)
    times_ns = np.arange(len(values))
    points = Points(times_ns, pa.array(values.view(np.uint64)))
    storage.publish("a", DataType.DOUBLE, points)
    if is_refused:
        with pytest.raises(ResourceExhaustedError, match=r"STRETCHES_MAX.*persistence"):
            evaluate_range(condition, views_of(condition, storage), "", *ALWAYS)
    else:
        assert len(evaluate_range(condition, views_of(condition, storage), "", *ALWAYS)) == count
