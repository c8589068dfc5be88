"""Largest-Triangle-Three-Buckets over buckets of time, as plainly as it can be written."""

from __future__ import annotations

import itertools
import math


def chosen(points: list[tuple[int, float]], width_ns: int) -> list[int]:
    """Places of the points that are chosen; points are sorted by time."""
    if len(points) <= 2:
        return list(range(len(points)))
    inner = range(1, len(points) - 1)
    buckets = [
        list(places)
        for _, places in itertools.groupby(inner, lambda place: points[place][0] // width_ns)
    ]
    buckets.append([len(points) - 1])
    found = [0]
    for bucket, following in itertools.pairwise(buckets):
        found.append(_largest(points, found[-1], bucket, following))
    return [*found, len(points) - 1]


def _largest(
    points: list[tuple[int, float]], before: int, bucket: list[int], following: list[int]
) -> int:
    left_ns, left = points[before]
    first_ns = points[following[0]][0]
    far = float(first_ns - left_ns)
    far += _sum(float(points[place][0] - first_ns) for place in following) / len(following)
    finite = [points[place][1] for place in following if math.isfinite(points[place][1])]
    mean = _sum(finite) / len(finite) if finite else None
    if not math.isfinite(left):
        left = 0.0 if mean is None else mean
    if mean is None:
        mean = left
    sizes = []
    for place in bucket:
        time_ns, value = points[place]
        area = abs(far * (value - left) - float(time_ns - left_ns) * (mean - left))
        sizes.append(-1.0 if math.isnan(area) else area)
    return bucket[sizes.index(max(sizes))]


def _sum(numbers) -> float:
    total = 0.0
    for number in numbers:
        total += number
    return total
