"""The loops of the lake, all made ready at once."""

from __future__ import annotations

from sift_server.lake import gathering, overview_kernels, repeats


def warm_up() -> None:
    """Compile the loops, or load them from the disk, so that the first flush does not wait."""
    gathering.warm_up()
    repeats.warm_up()
    overview_kernels.warm_up()
