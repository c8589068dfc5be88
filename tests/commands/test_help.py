"""What `sift COMMAND --help` says."""

from __future__ import annotations

from sift_server.commands.main import app
from sift_server.commands.rules import app as rules


def test_lines_of_a_paragraph_run_on():
    """A terminal breaks them where it ends, and not where the source did."""
    for command in (*app.registered_commands, *rules.registered_commands):
        assert command.help
        assert all("\n" not in each for each in command.help.split("\n\n"))
