"""The project as it is installed."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("sift", "sift_files", "sift_py", "sift_server", "sift_wire")
CLIENT = """
import sys
import sift_py.ingestion.buffer
import sift_py.ingestion.config.yaml.load
import sift_py.ingestion.manager
import sift_py.ingestion.service
heavy = {"sift_server", "numpy", "numba", "pyarrow", "deltalake", "sqlalchemy", "hypercorn",
         "pandas", "polars", "sift_wire.encode"}
sys.exit(", ".join(heavy & set(sys.modules)) or None)
"""


def test_a_wheel_has_every_package_and_its_types(tmp_path: Path):
    """What is built from a checkout can be installed elsewhere, with types and data files."""
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check",
         "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(tmp_path),
         str(ROOT)],
        check=True, timeout=150,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("sift_py-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    assert {"sift_server/demo/machine.yml", "sift_server/demo/expressions.yml"} <= names
    assert {name.split("/")[0] for name in names} - set(PACKAGES) == {"sift_py-0.1.0rc2.dist-info"}


def test_the_client_loads_nothing_of_the_server():
    """The base install is enough for it, and it starts fast where the server is installed too."""
    subprocess.run([sys.executable, "-c", CLIENT], check=True, timeout=60)
