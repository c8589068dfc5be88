"""`sift rules`: what watches the data, what it would find, and whether it fits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sift.reports.v1.reports_pb2 import REPORT_RULE_STATUS_ERROR
from sift.rule_evaluation.v1 import rule_evaluation_pb2
from sift.rule_evaluation.v1.rule_evaluation_pb2_grpc import RuleEvaluationServiceStub
from sift_py._internal.lists import any_of
from sift_py.errors import SiftError
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_server.commands.annotation_output import (
    Names,
    annotation_document,
    annotation_lines,
    preview_document,
    preview_lines,
)
from sift_server.commands.connection import (
    DEFAULT_DATA_DIR,
    FAILED,
    WRONG_USE,
    DataDir,
    Uri,
    connected,
    end,
)
from sift_server.commands.report_wait import finished_report
from sift_server.commands.rule_check import check_rules, update_of
from sift_server.commands.rule_configs import update_of_config
from sift_server.commands.rule_output import asset_ids, rule_document, rule_lines
from sift_server.commands.selection import asset_of, rules_of, run_of, time_ns
from sift_server.commands.text import NOTE_CHARACTERS_MAX, rfc_3339, shown
from sift_server.readback import find_assets, list_annotations, list_rules
from sift_server.readback.names import asset_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sift.reports.v1.reports_pb2 import Report
    from sift.rules.v1.rules_pb2 import JsonRulesResponse, Rule
    from sift.runs.v2.runs_pb2 import Run
    from sift_py.grpc.transport import SiftChannel

FOUND = 3
"""Exit status of `check` when a rule does not fit."""

_COMMAND = "sift rules"

app = typer.Typer(
    help="List rules, check those of a telemetry config, and evaluate rules on what is stored.",
    epilog="Exit status: 0 if all went well, 1 if not, 2 for a wrong option or filter, 3 from"
    " 'check' if a rule does not fit.",
    no_args_is_help=True,
)

_Json = Annotated[bool, typer.Option("--json", help="Print a JSON object a line.")]
_Expressions = Annotated[
    list[Path] | None,
    typer.Option("--expressions", metavar="FILE", help="YAML of named expressions; repeatable."),
]
_Rules = Annotated[
    list[str] | None, typer.Option("--rule", metavar="NAME", help="Only this rule; repeatable.")
]


@app.command("list", epilog="Example:  sift rules list --asset rover")
def list_(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    uri: Uri = "",
    asset: Annotated[
        str, typer.Option(metavar="NAME", help="Only rules that name this asset.")
    ] = "",
    filter: Annotated[  # noqa: A002 (the option's name)
        str,
        typer.Option(
            metavar="CEL", help="Which rules: by name, client_key, is_archived and others."
        ),
    ] = "",
    as_json: _Json = False,
) -> None:
    """List rules by name, and what they say."""
    with connected(f"{_COMMAND} list", data_dir, uri) as channel:
        parts = [f"({filter})"] if filter else []
        if asset:
            found = asset_of(channel, f"{_COMMAND} list", asset)
            parts.append(any_of("asset_id", [found.asset_id]))
        rules = list_rules(channel, " && ".join(parts))
        assets = asset_names(channel, [each for rule in rules for each in asset_ids(rule)])
    if as_json:
        for rule in rules:
            typer.echo(json.dumps(rule_document(rule, assets)))
    elif rules:
        for line in rule_lines(rules, assets):
            typer.echo(line)
    else:
        typer.echo("There are no such rules.", err=True)


@app.command(
    epilog="Example:  sift rules check rover.yml --expressions kinematics.yml --asset rover"
)
def check(
    file: Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML of a telemetry config.")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
    uri: Uri = "",
    expressions: _Expressions = None,
    asset: Annotated[
        str, typer.Option(metavar="NAME", help="The asset; the one of the config if not given.")
    ] = "",
    offline: Annotated[
        bool, typer.Option("--offline", help="Look at the channels of the config alone.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Check the rules of a telemetry config against the channels of an asset. Changes nothing.

    The channels are those that the asset has, and those that the config brings with it. Says of
    each rule whether it fits, and what declaring them would change.
    """
    command = f"{_COMMAND} check"
    config = _config(command, file, expressions or [])
    name = asset or config.asset_name
    becomes: JsonRulesResponse | None = None
    if offline:
        checked = check_rules(config, None, "")
    else:
        with connected(command, data_dir, uri) as channel:
            assets = find_assets(channel, name)
            if asset and not assets:
                end(command, f"there is no asset {asset!r}", FAILED)
            asset_id = assets[0].asset_id if assets else ""
            checked = check_rules(config, channel, asset_id)
            if asset_id and config.rules:
                becomes = update_of(channel, asset_id, config.rules)
    wrong = [one for one in checked if one.problem is not None]
    for one in checked:
        if as_json:
            typer.echo(json.dumps({"rule": one.rule.name, "problem": one.problem}))
        else:
            verdict = "fits" if one.problem is None else one.problem
            typer.echo(f"{shown(one.rule.name)}: {shown(verdict, 2_000)}")
    if not as_json:
        typer.echo(_verdict(len(checked), len(wrong), name, becomes))
    if wrong:
        raise typer.Exit(FOUND)


@app.command(
    epilog="Example:  sift rules evaluate --asset rover --start 2026-11-25T12:00Z"
    " --end 2026-11-25T13:00Z --dry-run"
)
def evaluate(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    uri: Uri = "",
    run: Annotated[
        str, typer.Option(metavar="RUN", help="On this run: its name, id or client key.")
    ] = "",
    asset: Annotated[
        str, typer.Option(metavar="NAME", help="Rules of this asset, on its data.")
    ] = "",
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="From this time on, in UTC if not said.")
    ] = None,
    end_: Annotated[
        str | None, typer.Option("--end", metavar="TIME", help="Up to this time.")
    ] = None,
    rule: _Rules = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="CONFIG",
            help="Rules of this telemetry config (YAML), which are not stored; with --dry-run.",
        ),
    ] = None,
    expressions: _Expressions = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be found; store nothing.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Evaluate rules on stored data: on a run, or on some time of an asset.

    Makes the annotations that are missing, and brings those up to date that the same versions of
    the rules made before: to do it twice changes nothing. With --dry-run it only lists what it
    would find.
    """
    command = f"{_COMMAND} evaluate"
    if not run and not asset:
        end(command, "say what to evaluate rules on: --run, --asset, or both", WRONG_USE)
    if file is not None and not dry_run:
        end(command, "rules of a file are not stored: evaluate them with --dry-run", WRONG_USE)
    if file is not None and rule:
        end(command, "--config and --rule exclude each other", WRONG_USE)
    config = None if file is None else _config(command, file, expressions or [])
    with connected(command, data_dir, uri) as channel:
        asked = _Asked(
            channel,
            command,
            run_of(channel, command, run) if run else None,
            asset_of(channel, command, asset).asset_id if asset else "",
            time_ns(command, "--start", start),
            time_ns(command, "--end", end_),
        )
        if config is not None:
            lines = asked.preview_config(config, as_json=as_json)
        else:
            rules = asked.rules(rule or [])
            lines = asked.preview(rules, as_json) if dry_run else asked.evaluate(rules, as_json)
    for line in lines:
        typer.echo(line)


class _Asked:
    """What is to be evaluated on."""

    def __init__(
        self,
        channel: SiftChannel,
        command: str,
        run: Run | None,
        asset_id: str,
        start_ns: int | None,
        end_ns: int | None,
    ) -> None:
        self._channel = channel
        self._command = command
        self._run = run
        self._asset_id = asset_id
        self._start_ns = start_ns
        self._end_ns = end_ns
        self._stub: Any = RuleEvaluationServiceStub(channel)

    def rules(self, names: Sequence[str]) -> list[Rule]:
        """The rules of some names; all of the assets if there are no names."""
        ids = self._asset_ids()
        if names:
            rules = rules_of(self._channel, self._command, names)
            if self._asset_id:
                rules = [rule for rule in rules if self._asset_id in asset_ids(rule)]
        else:
            rules = list_rules(self._channel, any_of("asset_id", ids) if ids else "")
        if not rules:
            end(self._command, "there are no such rules", FAILED)
        return rules

    def preview(self, rules: Sequence[Rule], as_json: bool) -> list[str]:
        """Say what rules would find."""
        request = self._preview_request()
        request.rules.rules.ids.ids.extend(rule.rule_id for rule in rules)
        return self._previewed(request, as_json)

    def preview_config(self, config: TelemetryConfig, *, as_json: bool) -> list[str]:
        """Say what the rules of a telemetry config would find."""
        asset_id = self._asset_id
        if not asset_id:
            asset_id = asset_of(self._channel, self._command, config.asset_name).asset_id
        request = self._preview_request()
        request.rule_configs.configs.extend(
            update_of_config(rule, asset_id) for rule in config.rules
        )
        return self._previewed(request, as_json)

    def evaluate(self, rules: Sequence[Rule], as_json: bool) -> list[str]:
        """Evaluate rules, and list the annotations that are there then."""
        request = rule_evaluation_pb2.EvaluateRulesRequest()
        if self._run is None:
            request.assets.assets.ids.ids.append(self._asset_id)
            self._set_times(request.assets)
        else:
            self._set_run(request)
        request.rules.rules.ids.ids.extend(rule.rule_id for rule in rules)
        answer = self._stub.EvaluateRules(request)
        count = answer.created_annotation_count
        report = finished_report(self._channel, answer.report_id) if answer.report_id else None
        found = list_annotations(self._channel, self._filter(rules))
        names = Names(self._channel)
        names.load(found)
        if report is not None:
            _tell_failures(report, rules)
        if as_json:
            return [json.dumps(annotation_document(one, names)) for one in found]
        if report is not None:
            # Some may have been made after the call was answered.
            made_for = {summary.report_rule_version_id for summary in report.summaries}
            count = sum(one.report_rule_version_id in made_for for one in found)
        told = f"{count:,} of {len(found):,} annotations are new."
        return [*(annotation_lines(found, names) if found else ()), told]

    def _previewed(
        self, request: rule_evaluation_pb2.EvaluateRulesPreviewRequest, as_json: bool
    ) -> list[str]:
        answer = self._stub.EvaluateRulesPreview(request)
        found = sorted(
            answer.dry_run_annotations, key=lambda one: (one.start_time.ToNanoseconds(), one.name)
        )
        if as_json:
            return [json.dumps(preview_document(one)) for one in found]
        told = f"{len(found):,} annotations would be found; none was stored."
        return [*(preview_lines(found) if found else ()), told]

    def _preview_request(self) -> rule_evaluation_pb2.EvaluateRulesPreviewRequest:
        request = rule_evaluation_pb2.EvaluateRulesPreviewRequest()
        self._set_run(request)
        return request

    def _set_run(
        self,
        request: rule_evaluation_pb2.EvaluateRulesPreviewRequest
        | rule_evaluation_pb2.EvaluateRulesRequest,
    ) -> None:
        # Without a run it is all of them, and what has none.
        request.run_time_range.SetInParent()
        if self._run is not None:
            request.run_time_range.run.id = self._run.run_id
        self._set_times(request.run_time_range)

    def _set_times(
        self, message: rule_evaluation_pb2.RunTimeRange | rule_evaluation_pb2.AssetsTimeRange
    ) -> None:
        if self._start_ns is not None:
            message.start_time.FromNanoseconds(self._start_ns)
        if self._end_ns is not None:
            message.end_time.FromNanoseconds(self._end_ns)

    def _asset_ids(self) -> list[str]:
        if self._asset_id:
            return [self._asset_id]
        return [] if self._run is None else list(self._run.asset_ids)

    def _filter(self, rules: Sequence[Rule]) -> str:
        """A filter of the annotations that were looked for."""
        parts = [any_of("rule_id", [rule.rule_id for rule in rules])]
        if self._run is not None:
            parts.append(any_of("run_id", [self._run.run_id]))
        if self._asset_id:
            parts.append(any_of("asset_id", [self._asset_id]))
        if self._start_ns is not None:
            parts.append(f'end_time >= timestamp("{rfc_3339(self._start_ns)}")')
        if self._end_ns is not None:
            parts.append(f'start_time < timestamp("{rfc_3339(self._end_ns)}")')
        return " && ".join(parts)


def _config(command: str, file: Path, expressions: Sequence[Path]) -> TelemetryConfig:
    try:
        return TelemetryConfig.try_from_yaml(file, expressions)
    except OSError as error:
        end(command, f"{error.filename} can't be read: {error.strerror}", FAILED)
    except SiftError as error:
        end(command, str(error), FAILED)


def _verdict(count: int, wrong: int, asset: str, becomes: JsonRulesResponse | None) -> str:
    if not count:
        return "The config has no rules."
    rules = f"{count:,} {'rule' if count == 1 else 'rules'}"
    if wrong:
        return f"{wrong:,} of {rules} do not fit the asset {asset!r}."
    if becomes is None or not becomes.success:
        return f"{rules}: all fit the asset {asset!r}."
    return (
        f"{rules}: all fit the asset {asset!r}. To declare them makes"
        f" {becomes.rules_created_count:,} new, changes {becomes.rules_updated_count:,} and deletes"
        f" {becomes.rules_deleted_count:,}."
    )


def _tell_failures(report: Report, rules: Sequence[Rule]) -> None:
    """Say on stderr which rules could not be evaluated, and why."""
    names = {rule.rule_id: rule.name for rule in rules}
    for summary in report.summaries:
        if summary.status == REPORT_RULE_STATUS_ERROR:
            why = shown(summary.status_details.error.error_message, NOTE_CHARACTERS_MAX)
            typer.echo(f"the rule {shown(names[summary.rule_id])} failed: {why}", err=True)
