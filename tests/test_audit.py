"""`make audit`, by what pip-audit may say."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import ModuleType

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "audit.py"
SAFE = {"name": "a", "version": "1", "vulns": []}
VULNERABLE = {
    "name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}],
}  # fmt: skip
UNKNOWN = {"name": "c", "skip_reason": "not found"}


@pytest.fixture
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("packages", "status", "said"),
    [
        ([SAFE], 0, "0 of 1 packages"),
        ([SAFE, VULNERABLE], 1, "b 2: PYSEC-1, mended in 3"),
        ([SAFE, UNKNOWN], 0, "1 are not known"),
        ([UNKNOWN], 0, "nothing was audited"),
        (None, 0, "nothing was audited: ConnectionError: no route"),
        (TimeoutError, 0, "nothing was audited: no answer in 120 s"),
    ],
)
def test_only_what_is_known_to_be_vulnerable_fails(
    audit: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    packages: Any,
    status: int,
    said: str,
):
    """Where nothing can be known, that is said, and is no failure."""

    def run(command: Any, **_: Any) -> subprocess.CompletedProcess[str]:
        if packages is TimeoutError:
            raise subprocess.TimeoutExpired(command, 120)
        if packages is None:
            return subprocess.CompletedProcess(command, 1, "", "Trace:\nConnectionError: no route")
        return subprocess.CompletedProcess(command, 0, json.dumps({"dependencies": packages}), "")

    monkeypatch.setattr(subprocess, "run", run)
    assert audit.main() == status
    assert said in capsys.readouterr().out
