"""Annotations, and whether they are what the rules say of the whole run."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sift.annotations.v1.annotations_pb2 import Annotation, ListAnnotationsRequest
from sift.annotations.v1.annotations_pb2_grpc import AnnotationServiceStub
from sift.rule_evaluation.v1.rule_evaluation_pb2 import EvaluateRulesPreviewRequest
from sift.rule_evaluation.v1.rule_evaluation_pb2_grpc import RuleEvaluationServiceStub
from sift_py._internal.lists import paged, quoted
from sift_server.readback.names import list_rules

if TYPE_CHECKING:
    from collections.abc import Iterable

    import grpc

    from sift.rules.v1.rules_pb2 import DryRunAnnotation

_POLL_INTERVAL_S = 0.1


def list_annotations(
    grpc_channel: grpc.Channel,
    filter: str = "",  # noqa: A002 (the protocol's name)
    order_by: str = "start_time",
) -> list[Annotation]:
    """Annotations that a filter takes, by their start."""
    stub: Any = AnnotationServiceStub(grpc_channel)
    request = ListAnnotationsRequest(filter=filter, order_by=order_by)
    return list(paged(stub.ListAnnotations, request, "annotations"))


def preview_rules(
    grpc_channel: grpc.Channel, run_id: str, rule_ids: Iterable[str]
) -> list[DryRunAnnotation]:
    """What rules find when they are evaluated on all of a run at once; nothing is stored."""
    stub: Any = RuleEvaluationServiceStub(grpc_channel)
    request = EvaluateRulesPreviewRequest()
    request.run.id = run_id
    request.rules.rules.ids.ids.extend(rule_ids)
    return list(stub.EvaluateRulesPreview(request).dry_run_annotations)


def wait_for_annotations(
    grpc_channel: grpc.Channel,
    run_id: str,
    asset_ids: Iterable[str],
    timeout_s: float = 10.0,
) -> list[Annotation]:
    """The annotations of assets in a run, once they are those of evaluating everything at once.

    Rules are evaluated a moment after their data was acknowledged. What this compares with is a
    preview of the assets' rules over the whole run.

    Raises:
        TimeoutError: They were not the same in time; says how many there are.
    """
    wanted = f"asset_id in [{', '.join(map(quoted, asset_ids))}]"
    rule_ids = [rule.rule_id for rule in list_rules(grpc_channel, wanted)]
    due_s = time.monotonic() + timeout_s
    while True:
        found = list_annotations(grpc_channel, f"run_id == {quoted(run_id)} && {wanted}")
        expected = preview_rules(grpc_channel, run_id, rule_ids) if rule_ids else []
        if sorted(map(_what, found)) == sorted(map(_what, expected)):
            return found
        if time.monotonic() > due_s:
            raise TimeoutError(
                f"there are {len(found)} annotations; evaluating the whole run gives"
                f" {len(expected)}, or other times"
            )
        time.sleep(_POLL_INTERVAL_S)


def _what(annotation: Annotation | DryRunAnnotation) -> tuple[str, int, int]:
    start, end = annotation.start_time, annotation.end_time
    return annotation.name, start.ToNanoseconds(), end.ToNanoseconds()
