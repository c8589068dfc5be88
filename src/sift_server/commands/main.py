"""The `sift` command: what a person types."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from sift_server.commands import errors, keys, retention, rules
from sift_server.commands.annotations import app as annotations_app
from sift_server.commands.assets import assets
from sift_server.commands.backup import backup, restore
from sift_server.commands.channels import channels
from sift_server.commands.delete import delete
from sift_server.commands.demo import demo
from sift_server.commands.doctor import doctor
from sift_server.commands.export import export
from sift_server.commands.help_text import let_lines_run_on
from sift_server.commands.import_ import import_
from sift_server.commands.plot import plot
from sift_server.commands.runs import runs
from sift_server.commands.serve import serve
from sift_server.commands.sql import sql
from sift_server.commands.tail import tail

_START = "Start"
_READ = "Read"
_FILES = "Files"
_RULES = "Rules"
_KEEP = "Keep"

app = typer.Typer(
    help="Stream telemetry, keep it, and get it back.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

# In the order of the help text.
app.command(
    rich_help_panel=_START,
    epilog="Example:  sift serve --data-dir ./telemetry --listen 0.0.0.0:50051"
    " --tls-cert cert.pem --tls-key key.pem",
)(serve)
app.command(
    rich_help_panel=_START, epilog="Example:  sift demo --seconds 60 --data-dir ./my-machine"
)(demo)
app.command(rich_help_panel=_READ, epilog="Example:  sift assets 'test-*' --json")(assets)
app.command(
    rich_help_panel=_READ,
    epilog="Example:  sift channels 'motor.*' --asset rover --run 'drive 1'",
)(channels)
app.command(rich_help_panel=_READ, epilog="Example:  sift runs 'drive *' --asset rover --points")(
    runs
)
app.command(
    rich_help_panel=_READ, epilog="Example:  sift tail rover 'motor.*' --since 5m --rate 5"
)(tail)
app.command(
    rich_help_panel=_READ,
    epilog="Example:  sift plot 'motor.*' state --asset rover --run 'drive 1' --output drive.png",
)(plot)
app.command(
    rich_help_panel=_READ,
    epilog="Example:  sift sql 'SELECT channel, max(value) FROM points GROUP BY channel' --json",
)(sql)
app.command(
    "import",
    rich_help_panel=_FILES,
    epilog="Example:  sift import flight.csv --asset rocket --run 'flight 12'"
    " --start-time 2022-06-24T15:17:16Z --dry-run\n\nExit status: 0 if all is in; 1 if not, or if"
    " cells do not fit; 2 for a wrong option or plan; 130 after Ctrl-C.",
)(import_)
app.command(
    rich_help_panel=_FILES,
    epilog="Example:  sift export 'motor.*' --asset rover --run 'drive 1' --output motor.parquet",
)(export)
app.add_typer(rules.app, name="rules", rich_help_panel=_RULES)
app.add_typer(annotations_app, name="annotations", rich_help_panel=_RULES)
app.add_typer(retention.app, name="retention", rich_help_panel=_KEEP)
app.command(
    rich_help_panel=_KEEP,
    epilog="Example:  sift delete --asset rover --channel motor.debug --end 2026-11-01T00:00:00Z"
    " --dry-run",
)(delete)
app.command(
    rich_help_panel=_KEEP,
    epilog="Example:  sift backup ./telemetry /backups/monday --since /backups/sunday",
)(backup)
app.command(
    rich_help_panel=_KEEP, epilog="Example:  sift restore /backups/monday ./telemetry-again"
)(restore)
app.command(
    rich_help_panel=_KEEP,
    epilog="Exit status: 0 if the folder is sound, in the end with --repair; 3 if something is"
    " wrong with it; 1 if it could not be checked; 2 for a wrong option.",
)(doctor)
app.add_typer(errors.app, name="errors", rich_help_panel=_KEEP)
app.add_typer(keys.app, name="keys", rich_help_panel=_KEEP)


def main() -> None:
    """Run the command line."""
    app(prog_name="sift")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sift {version('sift-py')}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


let_lines_run_on(app)
