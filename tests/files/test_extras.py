"""A format whose library is not installed says what to install; nothing is loaded before."""

from __future__ import annotations

import subprocess
import sys

import pytest

LACKING = """
import sys
from pathlib import Path
sys.modules[sys.argv[1]] = None
from sift_files import MissingLibraryError, detect
try:
    detect(Path(sys.argv[2]))
except MissingLibraryError as error:
    print(error)
"""
LOADED = """
import sys
import sift_files
print({"numpy", "pyarrow", "h5py", "nptdms", "pyulog", "mcap", "rosbags"} & set(sys.modules) or "")
"""


@pytest.mark.parametrize(
    ("library", "head", "extra"),
    [
        ("pyarrow", b"time,x\n0,1\n", "csv"),
        ("pyarrow", b"PAR1", "parquet"),
        ("h5py", b"\x89HDF\r\n\x1a\n", "hdf5"),
        ("nptdms", b"TDSm", "tdms"),
        ("pyulog", b"ULog\x01\x12\x35", "ulog"),
        ("mcap", b"\x89MCAP0\r\n", "mcap"),
        ("mcap_ros2", b"\x89MCAP0\r\n", "mcap"),
        ("rosbags", b"#ROSBAG V2.0\n", "rosbag"),
    ],
)
def test_what_to_install_is_told(tmp_path, library, head, extra):
    """By the name of the extra."""
    path = tmp_path / "log"
    path.write_bytes(head)
    done = subprocess.run(
        [sys.executable, "-c", LACKING, library, str(path)],
        check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert f"pip install 'sift-py[{extra}]'" in done.stdout


def test_no_library_is_loaded_before_a_file_is():
    """So that the package can be imported without any."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == ""
