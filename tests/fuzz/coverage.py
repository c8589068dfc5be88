"""Feeds what reads bytes of others, guided by what of its code was reached: `make fuzz`.

A target takes bytes and raises nothing but the errors that it promises, in a time that it promises.
Atheris, where it is installed, mutates its inputs by coverage until the time is over; a crash or a
slow input is written beside the corpus, and given again by naming its file.

```text
python -m fuzz.coverage decoder --seconds 600
python -m fuzz.coverage yaml build/fuzz/yaml/crash-...
```
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Target = Callable[[bytes], None]
    Mutator = Callable[[bytes, int, int], bytes]

SHM = Path("/dev/shm")
"""A folder in memory, if the system has one."""

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
EXPRESSION_SEEDS = (
    '$4 == "Idle" && $1 > 80 || !$3 && contains($5, "ERR\\n")',
    'persistence(avg($1, rolling("1m30s")) > 4.0e2, 0.5) || $2 in [1, -2.5, 0x10]',
    "0.5 * $1 * $1 - $2 % 3 / motor.speed + pow(abs($1), 2) >= deriv(prev($2), '1s')",
    "stddev($1, rolling(5)) + max($1, $2, 3.0) + count($5, rolling('500ms')) + size($5)",
    "$3 ? first($1) : last($1) + $6.low + $6['low']",
    "matches($5, '^(a|b)*[c-x]{1,9}$') && $5.startsWith(r'\\d') == true",
    "min($2, rolling('10s')) == sum($1, rolling(1)) // a comment with a ' in it",
    "isNaN(round(-$1)) != ($5 < $4) && delta($2) != 9223372036854775807",
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


def expression_target() -> Target:
    """An expression: compiles and gives a value at each point, or is refused."""
    import numpy as np
    import pyarrow as pa

    from sift_server.errors import InvalidArgumentError
    from sift_server.expressions import Column, Signal, Source, Texts, Type, compile_expression

    low = Source("low", "low", Type.INT)
    sources = {
        "$1": Source("speed", "speed", Type.DOUBLE),
        "$2": Source("gear", "gear", Type.INT),
        "$3": Source("on", "on", Type.BOOL),
        "$4": Source("state", "state", Type.STRING, frozenset(["Idle", "Run"])),
        "$5": Source("log", "log", Type.STRING),
        "$6": Source("bits", "bits", None, None, {"low": low}),
    }
    known = np.array([True, False, True])
    states = Texts(pa.array(["Idle", "Run"], pa.large_string()), np.array([0, 1, 0]))
    logs = Texts(pa.array(["ERROR", "", "é"], pa.large_string()))
    columns = {
        "speed": Column(Type.DOUBLE, np.array([1.5, np.nan, -np.inf])),
        "gear": Column(Type.INT, np.array([2**63 - 1, 0, -(2**63)]), known),
        "on": Column(Type.BOOL, known, known),
        "state": Column(Type.STRING, states),
        "log": Column(Type.STRING, logs, known),
        "low": Column(Type.INT, np.array([0, 1, 2**64 - 1], np.uint64)),
    }
    times_ns = {name: np.arange(3) * 10**9 + 400 * at for at, name in enumerate(columns)}
    signals = {name: Signal(times_ns[name], column) for name, column in columns.items()}

    def feed(data: bytes) -> None:
        text = data.decode("utf-8", "surrogateescape")
        try:
            expression = compile_expression(text, sources, {"motor.speed": sources["$1"]}.get)
        except InvalidArgumentError as error:
            str(error)
            return
        inputs = [signals[source.name] for source in expression.sources]
        found, memory = expression.advance(None, inputs)
        assert len(found) == len(found.column)
        later = [Signal(each.times_ns + 10**10, each.column) for each in inputs]
        expression.advance(memory, later)

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


def decoder_target() -> Target:
    """Messages and the body of a call: become what the protobuf library reads, or are refused."""
    from fuzz.decoder import feed

    return feed


def log_target() -> Target:
    """A folder of segments: has the records that check, and goes on; or is refused as damaged."""
    from fuzz.log import target

    # It would tell of each input.
    logging.getLogger("sift_server.log").setLevel(logging.CRITICAL)
    folder = tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None)
    feed_log = target(Path(folder.name) / "log")

    def feed(data: bytes, _keep: object = folder) -> None:
        feed_log(data)

    return feed


def decoder_seeds() -> list[bytes]:
    """Valid messages of all flows, the shortest alone and others a few an input."""
    import numpy as np

    from fuzz.decoder import input_of
    from fuzz.mutation import corpus

    seeds = corpus(np.random.default_rng(1))
    extents = zip(seeds.starts.tolist(), seeds.ends.tolist(), strict=True)
    messages = sorted({seeds.data[start:end].tobytes() for start, end in extents}, key=len)
    alone, others = messages[:100], [each for each in messages[100:] if len(each) < 200]
    return [
        *(input_of([message]) for message in alone),
        *(input_of(others[at : at + 3]) for at in range(0, len(others), 9)),
    ]


def decoder_mutator() -> Mutator:
    """What changes messages field by field."""
    import atheris

    from fuzz.decoder_mutation import mutated

    return lambda data, size_max, seed: mutated(data, size_max, seed, atheris.Mutate)


def log_seeds() -> list[bytes]:
    """A log that is whole, one that each kind of change happened to, and its segments."""
    from fuzz.log_damage import CHANGED, KINDS, RAW, whole_log

    changed = [bytes((CHANGED, kind, kind, 40, 0, 9)) for kind in range(KINDS)]
    return [bytes((CHANGED,)), *changed, *(bytes((RAW,)) + each for each in whole_log().values())]


def text_seeds(texts: Sequence[str]) -> Callable[[], list[bytes]]:
    """Seeds that are text."""
    return lambda: [text.encode() for text in texts]


class FuzzTarget(NamedTuple):
    """What is fed.

    Attributes:
        make: Makes it.
        seeds: Makes what it begins with.
        guides: The packages whose coverage guides.
        input_bytes_max: Length of an input.
        mutator: Makes what changes an input, if that is not the fuzzer itself.
    """

    make: Callable[[], Target]
    seeds: Callable[[], list[bytes]]
    guides: Sequence[str]
    input_bytes_max: int = 4_096
    mutator: Callable[[], Mutator] | None = None


TARGETS = {
    "decoder": FuzzTarget(decoder_target, decoder_seeds, ("sift_wire",), 512, decoder_mutator),
    "log": FuzzTarget(
        log_target,
        log_seeds,
        ("sift_server.log", "sift_server.doctor.log_state", "fuzz.log_format", "fuzz.log_damage"),
        512,
    ),
    "filter": FuzzTarget(
        filter_target,
        text_seeds(FILTER_SEEDS),
        ("sift_server.catalog", "sift_server.cel", "celpy.celparser", "lark"),
    ),
    "expression": FuzzTarget(
        expression_target,
        text_seeds(EXPRESSION_SEEDS),
        ("sift_server.expressions", "sift_server.cel", "celpy.celparser", "lark"),
    ),
    "yaml": FuzzTarget(yaml_target, text_seeds(YAML_SEEDS), ("sift_py.ingestion.config", "yaml")),
}


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
    fuzzed = TARGETS[options.target]
    # Of compiled kernels nobody sees what was reached. Numbers wrap around in both.
    os.environ["NUMBA_DISABLE_JIT"] = "1"
    warnings.filterwarnings("ignore", "overflow encountered", RuntimeWarning)
    if options.files:
        feed = timed(fuzzed.make())
        for path in options.files:
            feed(path.read_bytes())
        return
    try:
        import atheris
    except ImportError:
        sys.exit("Fuzzing by coverage needs atheris, which this Python has no build of.")
    with atheris.instrument_imports(include=list(fuzzed.guides)):
        for guide in fuzzed.guides:
            importlib.import_module(guide)
        target = fuzzed.make()
    folder = Path("build/fuzz") / options.target
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    seeds = fuzzed.seeds()
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    target(seeds[0])  # what is imported or built at first use is no slow input
    arguments = [
        sys.argv[0],
        str(corpus),
        f"-max_total_time={options.seconds}",
        f"-seed={options.seed}",
        f"-max_len={fuzzed.input_bytes_max}",
        "-timeout=20",
        "-rss_limit_mb=4096",  # a mutator of ours lets Atheris keep some kilobytes an input
        f"-artifact_prefix={folder}{os.sep}",
        "-print_final_stats=1",
    ]
    mutator = {} if fuzzed.mutator is None else {"custom_mutator": fuzzed.mutator()}
    atheris.Setup(arguments, timed(target), **mutator)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
