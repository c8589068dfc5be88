"""Values that are hard on expressions: each rule says what it says, and no other one waits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from rules.test_server import Client
from rules.test_trouble import START_NS, annotations, wait_until
from sift_py.ingestion.channel import ChannelConfig, ChannelDataType
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.rule.config import RuleActionCreateDataReviewAnnotation, RuleConfig
from sift_py.ingestion.service import IngestionService
from support.serving import serving

if TYPE_CHECKING:
    from pathlib import Path

NUMBER = ChannelConfig("number", ChannelDataType.DOUBLE)
INTEGER = ChannelConfig("integer", ChannelDataType.INT_64)
TEXT = ChannelConfig("text", ChannelDataType.STRING)

# What each finds of the three rows below: rows from and to, of which it is true.
RULES = {
    "$1 / 0.0 > 1.0": (NUMBER, []),
    "$1 != $1": (NUMBER, [(1, 2)]),
    "$1 * 9223372036854775807 > 0": (INTEGER, [(0, 1)]),
    "$1 / 0 > 0": (INTEGER, [(0, 3)]),
    "$1 % 0 == 0": (INTEGER, []),
    "sqrt($1 - 10.0) > 0.0": (NUMBER, []),
    "matches($1, '(a+)+$')": (TEXT, []),
    "size($1) > 65535": (TEXT, [(0, 3)]),
    "$1 > 0": (INTEGER, [(0, 3)]),
}


def rows_of(found):
    """The rows from and to which an annotation goes."""
    return tuple(
        (each.ToNanoseconds() - START_NS) // 1_000_000_000
        for each in (found.start_time, found.end_time)
    )


def test_each_says_what_it_says(tmp_path: Path):
    """Of 64 KiB of text, NaN, the largest integer, and divisions by zero."""
    rules = [
        RuleConfig(
            text,
            "",
            text,
            RuleActionCreateDataReviewAnnotation(),
            [{"channel_reference": "$1", "channel_config": channel}],
        )
        for text, (channel, _) in RULES.items()
    ]
    config = TelemetryConfig(
        "rover", "rover-v1", flows=[FlowConfig("all", [NUMBER, INTEGER, TEXT])], rules=rules
    )
    times_ns = START_NS + np.arange(4) * 1_000_000_000
    columns = {
        "number": np.array([-1.0, np.nan, -1.0, -1.0]),
        "integer": np.array([1, 2**63 - 1, 2, -1]),
        "text": np.array([*["a" * 65_536 + "b"] * 3, "no"]),
    }
    with serving(tmp_path) as server, Client(server) as client:
        service = IngestionService(client.channel, config)
        service.ingest_columns("all", times_ns, columns)
        expected = {text: rows for text, (_, rows) in RULES.items() if rows}
        wait_until(lambda: {one.name for one in annotations(client)} >= expected.keys())
        time.sleep(0.2)
        found = {}
        for one in annotations(client):
            found.setdefault(one.name, []).append(rows_of(one))
        assert found == expected


def test_large_texts_hold_up_nobody(tmp_path: Path):
    """Thousands of 64 KiB under a regular expression that explodes elsewhere."""
    slow = RuleConfig(
        "slow",
        "",
        "matches($1, '(x+x+)+y')",
        RuleActionCreateDataReviewAnnotation(),
        [{"channel_reference": "$1", "channel_config": TEXT}],
    )
    quick = RuleConfig(
        "quick",
        "",
        "$1 > 0",
        RuleActionCreateDataReviewAnnotation(),
        [{"channel_reference": "$1", "channel_config": NUMBER}],
    )
    config = TelemetryConfig(
        "rover",
        "rover-v1",
        flows=[FlowConfig("texts", [TEXT]), FlowConfig("numbers", [NUMBER])],
        rules=[slow, quick],
    )
    count = 1_000
    texts = np.array(["x" * 65_536] * count)
    times_ns = START_NS + np.arange(count) * 1_000_000
    with serving(tmp_path) as server, Client(server) as client:
        service = IngestionService(client.channel, config)
        service.ingest_columns("texts", times_ns, {"text": texts})
        service.ingest_columns("numbers", times_ns, {"number": np.ones(count)})
        wait_until(lambda: [one.name for one in annotations(client)] == ["quick"])
