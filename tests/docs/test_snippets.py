"""The snippets of README, guides and package docstring run as they are written."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

import sift_py

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILE_NAME = re.compile(r"# ([\w.]+)\n")
ADDRESS = re.compile(r"127\.0\.0\.1:(\d+)")
NOT_RUN = {"text", "toctree"}
"""Output, pictures, and what takes minutes: `make demo` and `make test` are tested elsewhere."""
READY_TIMEOUT_S = 60

DOCUMENTS = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
} | {"sift_py.__doc__": sift_py.__doc__}


class Snippet(NamedTuple):
    language: str
    code: str
    line: int


def snippets(text: str) -> Iterator[Snippet]:
    for fence in FENCE.finditer(text):
        if fence[1] not in NOT_RUN:
            yield Snippet(fence[1], fence[2], text.count("\n", 0, fence.start()) + 2)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def with_free_ports(text: str) -> str:
    """The ports of a document may be taken on this machine: others take their place."""
    ports = {port: str(free_port()) for port in sorted(set(ADDRESS.findall(text)))}
    return ADDRESS.sub(lambda address: f"127.0.0.1:{ports[address[1]]}", text)


def serve(command: str, running: ExitStack) -> None:
    """Start what keeps running, and wait until it is ready."""
    process = running.enter_context(
        subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
    )  # fmt: skip
    running.callback(process.terminate)
    assert process.stdout.readline().startswith("ready on 127.0.0.1:")


@pytest.mark.parametrize("name", [name for name, text in DOCUMENTS.items() if any(snippets(text))])
def test_a_document_works_as_it_is_written(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """All snippets of a document, one after the other, in one folder and one program."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SIFT_API_KEY", raising=False)
    monkeypatch.delenv("SIFT_URI", raising=False)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    names = {"__name__": "__main__"}
    with ExitStack() as running:
        for snippet in snippets(with_free_ports(DOCUMENTS[name])):
            if snippet.language == "python":
                # Blank lines in front, so that a traceback has the line of the document.
                code = "\n" * (snippet.line - 1) + snippet.code
                exec(compile(code, name, "exec"), names)
            elif snippet.language == "yaml":
                Path(FILE_NAME.match(snippet.code)[1]).write_text(snippet.code, encoding="utf-8")
            elif snippet.code.startswith("sift serve "):
                serve(snippet.code, running)
            else:
                assert snippet.language == "bash"
                subprocess.run(
                    ["bash", "-euo", "pipefail", "-c", snippet.code],
                    check=True, timeout=READY_TIMEOUT_S,
                )  # fmt: skip


def test_documents_show_what_they_show():
    """That no snippet is found would be a mistake of this test."""
    assert sum(1 for text in DOCUMENTS.values() for _ in snippets(text)) >= 20
