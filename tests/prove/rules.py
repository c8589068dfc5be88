"""What rules must have found: a plain evaluation of everything that can be read."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sift.annotations.v1.annotations_pb2 import ListAnnotationsRequest
from sift.annotations.v1.annotations_pb2_grpc import AnnotationServiceStub

if TYPE_CHECKING:
    from collections.abc import Iterable

    import grpc

    from sift.annotations.v1.annotations_pb2 import Annotation

RULE = "low"
CHANNEL = "double"
BOUND = 2.0**27
"""Of values up to 2 to the 33: true at one point of 64."""

AGE_NS_MAX = 600 * 1_000_000_000
PATIENCE_S = 20

Found = tuple[int, int, bool]
"""Start and end of an annotation, in nanoseconds, and whether it is pending."""


def expected(points: Iterable[tuple[int, float]]) -> list[Found]:
    """The annotations of a rule that is true below `BOUND`, one point after the other."""
    found: list[Found] = []
    since_ns: int | None = None
    last_ns = 0
    for time_ns, value in sorted(points):
        is_true = value < BOUND
        if since_ns is not None and (not is_true or time_ns - last_ns > AGE_NS_MAX):
            found.append((since_ns, min(time_ns, last_ns + AGE_NS_MAX), False))
            since_ns = None
        if is_true and since_ns is None:
            since_ns = time_ns
        last_ns = time_ns
    if since_ns is not None:
        found.append((since_ns, last_ns, True))
    return found


def wrong_annotations(
    channel: grpc.Channel, asset: str, points: Iterable[tuple[int, float]]
) -> str | None:
    """What is wrong with the annotations of the rule on an asset; None if nothing is.

    Waits for the server to evaluate what it has.
    """
    wanted = expected(points)
    deadline_s = time.monotonic() + PATIENCE_S
    while (found := sorted(map(_found, _annotations(channel, asset)))) != wanted:
        if time.monotonic() > deadline_s:
            missing = sorted(set(wanted) - set(found))
            more = sorted(set(found) - set(wanted))
            return (
                f"{asset}: {len(missing)} annotations are missing, the first {missing[:3]}, and"
                f" {len(more)} are too many, the first {more[:3]}; {len(found) - len(set(found))}"
                " are there twice"
            )
        time.sleep(0.05)
    return None


def _annotations(channel: grpc.Channel, asset: str) -> list[Annotation]:
    request = ListAnnotationsRequest(
        filter=f'asset_name == "{asset}" && name == "{RULE}"', page_size=1_000
    )
    found: list[Annotation] = []
    while True:
        answer = AnnotationServiceStub(channel).ListAnnotations(request)
        found += answer.annotations
        request.page_token = answer.next_page_token
        if not request.page_token:
            return found


def _found(one: Annotation) -> Found:
    return one.start_time.ToNanoseconds(), one.end_time.ToNanoseconds(), one.pending
