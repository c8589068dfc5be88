"""What `sift plot` says of a picture."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sift_server.commands.text import rfc_3339
from sift_server.plotting import Kind

if TYPE_CHECKING:
    from pathlib import Path

    from sift_server.plotting import Curve, Plot


def plot_json(picture: Plot, output: Path | None) -> str:
    """A JSON object of what a picture shows."""
    document = {
        "title": picture.title,
        "file": None if output is None else str(output),
        "start": rfc_3339(picture.start_ns),
        "end": rfc_3339(picture.end_ns),
        "curves": [_curve(each) for each in picture.curves],
        "annotations": [
            {"name": mark.name, "start": rfc_3339(mark.start_ns), "end": rfc_3339(mark.end_ns)}
            for mark in picture.marks
        ],
    }
    return json.dumps(document, ensure_ascii=False)


def _curve(curve: Curve) -> dict[str, object]:
    about: dict[str, object] = {
        "channel": curve.name,
        "run": curve.run,
        "unit": curve.unit,
        "start": rfc_3339(int(curve.times_ns[0])),
        "end": rfc_3339(int(curve.times_ns[-1])),
    }
    if curve.kind is Kind.NUMBER:
        known = curve.values[curve.values == curve.values]
        about["min"] = float(known.min()) if len(known) else None
        about["max"] = float(known.max()) if len(known) else None
    else:
        about["states"] = [curve.state(key) for key in curve.keys]
    return about
