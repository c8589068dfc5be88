"""Runs the benchmarks; see `make bench`."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from benchmarks import alone, growth, reading, report, rules, streams, targets
from benchmarks.sizes import FULL, QUICK, SMOKE


def main(
    rounds: Annotated[int, typer.Option(min=1, help="How often each figure is taken.")] = 3,
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer rows, one round, nothing written.")
    ] = False,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Next to nothing, to see that it runs.")
    ] = False,
    peers: Annotated[
        bool, typer.Option(help="Measure the published clients too; they are installed first.")
    ] = True,
    only: Annotated[
        str,
        typer.Option(
            help="One of streams, alone, growth, rules, reading; the others are left out."
        ),
    ] = "",
) -> None:
    """Measure ours and others side by side, print tables, and write benchmarks/RESULTS.md.

    Example: make bench OPTIONS='--only alone --rounds 5'
    """
    if only not in {"", "streams", "alone", "growth", "rules", "reading"}:
        raise typer.BadParameter(
            f"--only takes streams, alone, growth, rules or reading, not {only!r}"
        )
    if smoke:
        size = SMOKE
    elif quick:
        size = QUICK
    else:
        size = dataclasses.replace(FULL, rounds=rounds)
    sections = []
    if only in {"", "streams"}:
        sections += streams.run(size, with_peers=peers)
    if only in {"", "alone"}:
        sections += alone.run(size)
    if only in {"", "growth"}:
        sections += growth.run(size)
    if only in {"", "rules"}:
        sections += rules.run(size)
    if only in {"", "reading"}:
        sections += reading.run(size)
    judged = targets.judge(sections)
    judged.show()
    if not (quick or smoke or only):
        others = (streams.PUBLISHED_PYTHON, streams.PUBLISHED_RUST) if peers else ()
        report.write([judged, *sections], others)


typer.run(main)
