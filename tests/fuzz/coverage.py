"""Feeds what reads text of others, guided by what of its code was reached: `make fuzz`.

A target takes bytes and raises nothing but the errors that it promises, in a time that it promises.
Atheris, where it is installed, mutates its inputs by coverage until the time is over; a crash or a
slow input is written beside the corpus, and given again by naming its file.

```text
python -m fuzz.coverage filter --seconds 600
python -m fuzz.coverage yaml build/fuzz/yaml/crash-...
```
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Target = Callable[[bytes], None]

INPUT_BYTES_MAX = 4_096
INPUT_MS_MAX = 2_000
"""How long an input may take, on a machine that others use too."""

FILTER_SEEDS = (
    "name == \"rover\" && created_date > timestamp('2026-01-01T00:00:00.5Z')",
    "!(client_key == '') || stop_time == null || duration_string > duration('90.0s')",
    'name in [\'a\', r"b\\d", \'\'\'c\n\'\'\', """d"""] && metadata["k"] == 5.5e-3',
    "metadata[a] == '\\'x\\'' && metadata.b == true && tag_name.contains('\\u00e9\\x41\\101')",
    "name.matches('^(a+)+$') && size(name) >= -0x1F && start_time.getFullYear() == 2026",
    "now() - created_date < duration('1h30m') // a comment with a ' in it",
    "name.startsWith('a') ? true : {'a': 1u}['a'] * 2 % 3 / 4 == b'bytes'",
)
YAML_SEEDS = (
    "asset_name: a\nflows:\n  - name: f\n    channels:\n      - {name: c, data_type: double}\n",
    "x: &c {name: c, data_type: enum, enum_types: [{name: on, key: 1}]}\nasset_name: a\n"
    "flows: [{name: f, channels: [*c, {<<: *c, name: d}]}]\n",
    "asset_name: !!str 1\nrules:\n  - name: r\n    type: phase\n    expression: $1 > $l\n"
    "    channel_references: [{$1: {name: c, data_type: double}}]\n"
    "    sub_expressions: [{$l: 2001-12-14t21:59:43.10-05:00}]\n",
    "? |-\n  a\n: >+\n  b\nc: [!!set {x}, !!omap [a: 1], !!binary aGk=, 1:59:59.5, .inf] # d\n",
)


def filter_target() -> Target:
    """A filter of runs, or of channels: becomes SQL that SQLite takes, or is refused."""
    from sqlalchemy import select

    from sift_server.catalog import CHANNEL_FIELDS, tables
    from sift_server.catalog.database import Database
    from sift_server.catalog.filters import where
    from sift_server.catalog.runs import RUN_FIELDS
    from sift_server.errors import InvalidArgumentError

    folder = tempfile.TemporaryDirectory()
    database = Database.open(Path(folder.name) / "catalog.sqlite")

    def feed(data: bytes, _keep: object = folder) -> None:
        text = data.decode("utf-8", "replace")
        for fields, table in ((RUN_FIELDS, tables.runs), (CHANNEL_FIELDS, tables.channels)):
            try:
                condition = where(text, fields, 1_700_000_000_000_000_000)
            except InvalidArgumentError:
                continue
            with database.read() as connection:
                connection.execute(select(table).where(condition)).all()

    return feed


def yaml_target() -> Target:
    """A telemetry config, or named expressions: read, or refused with the error of that."""
    from sift_py.errors import SiftError
    from sift_py.ingestion.config.telemetry import TelemetryConfig
    from sift_py.ingestion.config.yaml.load import load_named_expression_modules

    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name) / "fuzzed.yml"

    def feed(data: bytes, _keep: object = folder) -> None:
        path.write_bytes(data)
        for read in (TelemetryConfig.try_from_yaml, load_named_expression_modules):
            try:
                read(path)
            except SiftError as error:
                str(error)

    return feed


TARGETS: dict[str, tuple[Callable[[], Target], Sequence[str], Sequence[str]]] = {
    "filter": (
        filter_target,
        FILTER_SEEDS,
        ("sift_server.catalog", "sift_server.cel", "celpy.celparser", "lark"),
    ),
    "yaml": (yaml_target, YAML_SEEDS, ("sift_py.ingestion.config", "yaml")),
}
"""What makes each target, what it begins with, and the packages whose coverage guides."""


def timed(target: Target) -> Target:
    """Let a target that takes too long fail."""

    def feed(data: bytes) -> None:
        started_s = time.thread_time()
        target(data)
        took_ms = (time.thread_time() - started_s) * 1_000
        assert took_ms < INPUT_MS_MAX, f"{took_ms:.0f} ms for {data!r}"

    return feed


def main() -> None:
    """Feed a target for some seconds, or what files have."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("files", nargs="*", type=Path, help="inputs to give again, and no others")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    make, seeds, guides = TARGETS[options.target]
    if options.files:
        feed = timed(make())
        for path in options.files:
            feed(path.read_bytes())
        return
    try:
        import atheris
    except ImportError:
        sys.exit("Fuzzing by coverage needs atheris, which this Python has no build of.")
    with atheris.instrument_imports(include=list(guides)):
        for guide in guides:
            importlib.import_module(guide)
        target = make()
    folder = Path("build/fuzz") / options.target
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number}").write_text(seed, encoding="utf-8")
    target(seeds[0].encode())  # what is imported or built at first use is no slow input
    arguments = [
        sys.argv[0],
        str(corpus),
        f"-max_total_time={options.seconds}",
        f"-seed={options.seed}",
        f"-max_len={INPUT_BYTES_MAX}",
        "-timeout=20",
        "-rss_limit_mb=2048",
        f"-artifact_prefix={folder}{os.sep}",
        "-print_final_stats=1",
    ]
    atheris.Setup(arguments, timed(target))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
