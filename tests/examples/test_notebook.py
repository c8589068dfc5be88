"""The notebook goes from a folder to a plot, as it says."""

from __future__ import annotations

import base64
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "examples" / "hot_fire.ipynb"


@pytest.mark.slow
def test_the_notebook_runs_and_finds_what_it_shows(tmp_path) -> None:
    """Executed anew, in an empty folder, it gives the figures that it was saved with."""
    shutil.copy(NOTEBOOK, tmp_path)
    command = "from nbclient.cli import main; main()"
    arguments = [NOTEBOOK.name, "--output", "new.ipynb"]
    subprocess.run(
        [sys.executable, "-c", command, *arguments], check=True, cwd=tmp_path, timeout=170
    )
    saved, new = nbformat.read(NOTEBOOK, 4), nbformat.read(tmp_path / "new.ipynb", 4)
    assert texts(new) == texts(saved)
    (picture,) = pictures(new)
    assert len(base64.b64decode(picture)) > 20_000


def outputs(notebook: nbformat.NotebookNode) -> list[dict[str, str]]:
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [output["data"] for cell in cells for output in cell.outputs if "data" in output]


def texts(notebook: nbformat.NotebookNode) -> list[str]:
    return [data["text/plain"] for data in outputs(notebook) if "image/png" not in data]


def pictures(notebook: nbformat.NotebookNode) -> list[str]:
    return [data["image/png"] for data in outputs(notebook) if "image/png" in data]
