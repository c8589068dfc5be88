"""Runs the benchmarks; see `make bench`."""

from __future__ import annotations

from typing import Annotated

import typer

from benchmarks import alone, growth, report, streams

QUICK_PART = 0.1


def main(
    rounds: Annotated[int, typer.Option(help="How often each figure is taken.")] = 3,
    quick: Annotated[
        bool, typer.Option("--quick", help="A tenth of the rows, one round, nothing written.")
    ] = False,
    peers: Annotated[
        bool, typer.Option(help="Measure the published clients too; they are installed first.")
    ] = True,
    only: Annotated[
        str, typer.Option(help="One of streams, alone, growth; the others are left out.")
    ] = "",
) -> None:
    """Measure ours and others side by side, print tables, and write benchmarks/RESULTS.md.

    Example: make bench OPTIONS='--only alone --rounds 5'
    """
    part = QUICK_PART if quick else 1.0
    rounds = 1 if quick else rounds
    sections = []
    if only in {"", "streams"}:
        sections += streams.run(rounds, part, with_peers=peers)
    if only in {"", "alone"}:
        sections += alone.run(rounds, part)
    if only in {"", "growth"}:
        sections += growth.run(part)
    if not quick and not only:
        others = (streams.PUBLISHED_PYTHON, streams.PUBLISHED_RUST) if peers else ()
        report.write(sections, others)


typer.run(main)
