"""A catalog for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.catalogs import StepClock, open_catalog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sift_server.catalog import Catalog


@pytest.fixture
def clock() -> StepClock:
    """The catalog's clock."""
    return StepClock()


@pytest.fixture
def catalog(tmp_path: Path, clock: StepClock) -> Iterator[Catalog]:
    """An empty catalog on a SQLite file."""
    with open_catalog(tmp_path, clock) as opened:
        yield opened
