"""Annotations as text for people and as JSON for programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format

from sift.annotations.v1 import annotations_pb2
from sift_server.commands.text import rfc_3339, shown, shown_length, table
from sift_server.readback.names import asset_names, run_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import grpc

    from sift.annotations.v1.annotations_pb2 import Annotation
    from sift.rules.v1.rules_pb2 import DryRunAnnotation

_STATES = {
    annotations_pb2.ANNOTATION_STATE_OPEN: "open",
    annotations_pb2.ANNOTATION_STATE_FLAGGED: "flagged",
    annotations_pb2.ANNOTATION_STATE_RESOLVED: "resolved",
}


@dataclass(slots=True)
class Names:
    """Names of assets and runs, asked for once each. For one thread."""

    channel: grpc.Channel
    _assets: dict[str, str] = field(default_factory=dict)
    _runs: dict[str, str] = field(default_factory=dict)

    def load(self, annotations: Iterable[Annotation]) -> None:
        """Ask for all names that some annotations need."""
        asset_ids, run_ids = set[str](), set[str]()
        for one in annotations:
            asset_ids.update(one.asset_ids)
            run_ids.add(one.run_id)
        self._assets.update(asset_names(self.channel, asset_ids - self._assets.keys()))
        self._runs.update(run_names(self.channel, run_ids - self._runs.keys()))

    def assets(self, annotation: Annotation) -> list[str]:
        """Names of the assets that an annotation is about."""
        return [self._assets.get(each, each) for each in annotation.asset_ids]

    def run(self, annotation: Annotation) -> str:
        """Name of the run of an annotation, or empty."""
        return self._runs.get(annotation.run_id, annotation.run_id)


def annotation_lines(annotations: Sequence[Annotation], names: Names) -> Iterator[str]:
    """A table of annotations."""
    head = ("START", "LENGTH", "STATE", "NAME", "ASSET", "RUN")
    rows = [_row(one, names) for one in annotations]
    return table(head, rows)


def preview_lines(annotations: Sequence[DryRunAnnotation]) -> Iterator[str]:
    """A table of annotations that are not there."""
    rows = [(_start(one), _length(one), shown(one.name)) for one in annotations]
    return table(("START", "LENGTH", "NAME"), rows)


def event_line(event: str, annotation: Annotation, names: Names) -> str:
    """What happened to an annotation, on a line."""
    length = "" if event == "began" else f" after {_length(annotation)}"
    run = names.run(annotation)
    where = ", ".join(names.assets(annotation)) + (f", {run}" if run else "")
    when = annotation.start_time if event == "began" else annotation.end_time
    what = f"{event}{length}: {shown(annotation.name)} ({shown(where)})"
    return f"{rfc_3339(when.ToNanoseconds())}  {what}"


def annotation_document(annotation: Annotation, names: Names) -> dict[str, Any]:
    """An annotation with the names of its assets and run, for JSON."""
    document: dict[str, Any] = json_format.MessageToDict(
        annotation, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return {**document, "asset_names": names.assets(annotation), "run_name": names.run(annotation)}


def preview_document(annotation: DryRunAnnotation) -> dict[str, Any]:
    """An annotation that is not there, for JSON."""
    document: dict[str, Any] = json_format.MessageToDict(
        annotation, preserving_proto_field_name=True
    )
    return document


def state_of(annotation: Annotation) -> str:
    """Its state in a word; a phase has none."""
    if annotation.annotation_type == annotations_pb2.ANNOTATION_TYPE_PHASE:
        return "phase"
    return _STATES.get(annotation.state, "-")


def _row(one: Annotation, names: Names) -> tuple[str, ...]:
    length = _length(one) + (", goes on" if one.pending else "")
    assets = ", ".join(names.assets(one))
    return (_start(one), length, state_of(one), *map(shown, (one.name, assets, names.run(one))))


def _start(one: Annotation | DryRunAnnotation) -> str:
    """To the millisecond, in UTC."""
    start = one.start_time
    return f"{start.ToDatetime():%Y-%m-%dT%H:%M:%S}.{start.nanos // 1_000_000:03}"


def _length(one: Annotation | DryRunAnnotation) -> str:
    return shown_length(one.end_time.ToNanoseconds() - one.start_time.ToNanoseconds())
