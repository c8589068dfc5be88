"""`sift rules` and `sift annotations` as a person or a program runs them."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
from typer.testing import CliRunner

from sift.rule_evaluation.v1.rule_evaluation_pb2 import EvaluateRulesRequest
from sift.rule_evaluation.v1.rule_evaluation_pb2_grpc import RuleEvaluationServiceStub
from sift.rules.v1 import rules_pb2
from sift.rules.v1.rules_pb2_grpc import RuleServiceStub
from sift_py.grpc.transport import use_sift_channel
from sift_py.ingestion.channel import double_value
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.service import IngestionService
from sift_server.commands.main import app
from sift_server.data_dir import served_uri
from sift_server.readback import wait_for_annotations
from sift_server.server import Server, ServerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

START = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
CONFIG = """
asset_name: rover
ingestion_client_key: rover-1
channels:
  temperature: &temperature
    name: temperature
    data_type: double
  log: &log
    name: log
    data_type: string
rules:
  - name: overheating
    description: The motor is too hot
    expression: $1 > 80
    type: review
    channel_references:
      - $1: *temperature
  - name: trouble
    expression: contains($1, "ERROR")
    type: phase
    channel_references:
      - $1: *log
flows:
  - name: motor
    channels:
      - <<: *temperature
  - name: log
    channels:
      - <<: *log
"""
MORE = CONFIG.replace(
    "flows:",
    """
  - name: draught
    expression: $1 > 10.0 && $2 < 80
    type: review
    channel_references:
      - $1: {name: wind, data_type: double}
      - $2: *temperature
flows:
  - name: weather
    channels:
      - {name: wind, data_type: double}
""",
)
"""With a channel that the asset does not have yet, and a rule that wants it."""


class Rover(NamedTuple):
    """A folder, and who serves it."""

    folder: Path
    server: Server

    def stream(self, run: str, seconds: float, hot: range) -> None:
        """Send a row a second; the motor is hot in some of them."""
        with use_sift_channel(self.channel_config) as channel:
            service = IngestionService(channel, TelemetryConfig.try_from_yaml(self.config))
            service.attach_run(channel, run)
            service.ingest_flows(
                *(
                    {
                        "flow_name": "motor",
                        "timestamp": START + timedelta(seconds=second),
                        "channel_values": [double_value(90.0 if second in hot else 70.0)],
                    }
                    for second in range(int(seconds))
                )
            )
            wait_for_annotations(channel, service.run_id, [service.ingestion_config.asset_id])

    @property
    def channel_config(self):
        """How to connect."""
        return {"uri": f"http://{self.server.address}", "apikey": self.server.api_key}

    @property
    def config(self) -> Path:
        """The telemetry config, in a file."""
        return self.write("rover.yml", CONFIG)

    def write(self, name: str, text: str) -> Path:
        """Write a file beside the folder."""
        path = self.folder.parent / name
        path.write_text(text, encoding="utf-8")
        return path


@pytest.fixture(scope="module")
def rover(tmp_path_factory) -> Iterator[Rover]:
    """A served folder with two runs: hot from 5 to 8 s, and hot until its end."""
    folder = tmp_path_factory.mktemp("rules") / "telemetry"
    with Server(ServerSettings(folder, port=0)) as server:
        rover = Rover(folder, server)
        rover.stream("first drive", 20, range(5, 9))
        rover.stream("second drive", 10, range(7, 10))
        yield rover


def run(rover: Rover, *command: object) -> Result:
    """Run a command on the folder."""
    words = [str(word) for word in command]
    return CliRunner().invoke(app, [*words, "--data-dir", str(rover.folder)])


def documents(done: Result) -> list[dict]:
    """What a command printed as JSON, which must have gone well."""
    assert done.exit_code == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_annotations_are_listed_with_names(rover: Rover):
    """By their start, with run and asset; one that goes on says so."""
    done = run(rover, "annotations", "list")
    assert done.exit_code == 0
    head, *lines = done.stdout.splitlines()
    assert head.split() == ["START", "LENGTH", "STATE", "NAME", "ASSET", "RUN"]
    assert lines == [
        "2026-11-25T12:00:05.000  4.000 s           open   overheating  rover  first drive",
        "2026-11-25T12:00:07.000  2.000 s, goes on  open   overheating  rover  second drive",
    ]


def test_annotations_for_programs(rover: Rover):
    """An object a line; options narrow them down together."""
    (one,) = documents(
        run(rover, "annotations", "list", "--asset", "rover", "--run", "first drive",
            "--rule", "overheating", "--state", "open",
            "--filter", "pending || name != ''", "--json")
    )  # fmt: skip
    assert one["start_time"] == "2026-11-25T12:00:05Z"
    assert (one["asset_names"], one["run_name"]) == (["rover"], "first drive")
    assert one["pending"] is False
    done = run(rover, "annotations", "list", "--rule", "trouble")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "no such annotations" in done.stderr
    done = run(rover, "annotations", "list", "--limit", "1")
    assert len(done.stdout.splitlines()) == 2
    assert "more than 1" in done.stderr


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (["--asset", "boat"], 1, "no asset 'boat'"),
        (["--run", "third drive"], 1, "no run 'third drive'"),
        (["--rule", "calm"], 1, "no rule 'calm'"),
        (["--filter", "pending =="], 2, "can't be read"),
        (["--filter", "colour == 'red'"], 2, "colour"),
    ],
)
def test_what_is_not_there_is_named(rover: Rover, options: list[str], status: int, words: str):
    """In a line, without a traceback."""
    done = run(rover, "annotations", "list", *options)
    assert done.exit_code == status
    assert words in done.stderr


def test_tail_follows_what_begins_and_ends(tmp_path):
    """Those that are there first, then what happens, each once."""
    with Server(ServerSettings(tmp_path / "telemetry", port=0)) as server:
        check_tail(Rover(tmp_path / "telemetry", server))


def check_tail(rover: Rover):
    rover.stream("second drive", 10, range(7, 10))
    later = threading.Timer(1.0, rover.stream, ("third drive", 20, range(3, 6)))
    later.start()
    done = run(rover, "annotations", "tail", "--last", "1", "--seconds", "4", "--json")
    later.join()
    events = [
        (one["event"], one["run_name"], one["start_time"], one["end_time"])
        for one in documents(done)
        if one["run_name"] != "second drive"
    ]
    assert ("ended", "third drive", "2026-11-25T12:00:03Z", "2026-11-25T12:00:06Z") in events
    assert len([one for one in events if one[0] == "began"]) == 1
    assert len([one for one in events if one[0] == "ended"]) == 1


def test_tail_tells_all_of_what_is_written_at_once(tmp_path):
    """More than fit in a page, and what comes behind them."""
    with Server(ServerSettings(tmp_path / "telemetry", port=0)) as server:
        rover = Rover(tmp_path / "telemetry", server)
        rover.stream("drive", 3, range(1, 2))
        many = threading.Timer(1.0, spike, (rover, 10_500))
        many.start()
        done = run(rover, "annotations", "tail", "--last", "0", "--seconds", "10", "--json")
        many.join()
    times = [one["start_time"] for one in documents(done) if one["event"] == "began"]
    assert len(times) == len(set(times)) == 10_501


def spike(rover: Rover, count: int) -> None:
    """Evaluate many short stretches of another asset's past at once, and have one live."""
    ruled = TelemetryConfig.try_from_yaml(
        rover.write("spiky.yml", CONFIG.replace("rover", "spiky rover"))
    )
    bare = TelemetryConfig("spiky rover", "spiky rover-1", flows=ruled.flows)
    with use_sift_channel(rover.channel_config) as channel:
        columns = np.tile([90.0, 70.0], count)
        times_ns = int(START.timestamp()) * 10**9 + np.arange(2 * count) * 10**9
        IngestionService(channel, bare).ingest_columns("motor", times_ns, {"temperature": columns})
        service = IngestionService(channel, ruled)
        request = EvaluateRulesRequest(all_applicable_rules=True)
        request.assets.assets.names.names.append("spiky rover")
        request.assets.start_time.FromNanoseconds(int(times_ns[0]))
        request.assets.end_time.FromNanoseconds(int(times_ns[-1]) + 1)
        RuleEvaluationServiceStub(channel).EvaluateRules(request)
        service.ingest_columns("motor", times_ns[-2:] + 10**12, {"temperature": columns[:2]})


def test_tail_serves_no_folder(tmp_path):
    """Nothing would go on there, and whoever wants to serve it could not."""
    folder = tmp_path / "telemetry"
    with Server(ServerSettings(folder, port=0)):
        pass
    done = CliRunner().invoke(app, ["annotations", "tail", "--data-dir", str(folder)])
    assert done.exit_code == 1
    assert f"nobody serves {folder}" in done.stderr


def test_rules_are_listed_with_what_they_say(rover: Rover):
    """By name."""
    done = run(rover, "rules", "list", "--asset", "rover")
    assert done.stdout.splitlines() == [
        "NAME         MAKES   VERSION  LIVE  ASSETS",
        "overheating  review  1        yes   rover",
        "    $1 > 80   ($1: temperature)",
        "trouble      phase   1        yes   rover",
        '    contains($1, "ERROR")   ($1: log)',
    ]
    names = [one["name"] for one in documents(run(rover, "rules", "list", "--json"))]
    assert names == ["overheating", "trouble"]


def test_a_config_is_checked_against_an_asset(rover: Rover):
    """With the channels of the asset, and those that the config brings; nothing is changed."""
    done = run(rover, "rules", "check", rover.config)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith("makes 0 new, changes 0 and deletes 0.")
    more = rover.write("more.yml", MORE)
    assert run(rover, "rules", "check", more).exit_code == 0
    assert run(rover, "rules", "check", more, "--offline").exit_code == 0
    changed = rover.write(
        "changed.yml", CONFIG.replace("> 80", "> 75").split("  - name: trouble")[0]
    )
    done = run(rover, "rules", "check", changed)
    assert done.stdout.splitlines()[-1].endswith("makes 0 new, changes 1 and deletes 1.")
    assert len(documents(run(rover, "rules", "list", "--json"))) == 2


@pytest.mark.parametrize("options", [[], ["--offline"]])
def test_a_rule_that_does_not_fit_is_told(rover: Rover, options: list[str]):
    """With position, channel and type, and all others beside it; the exit status says it too."""
    wrong = rover.write("wrong.yml", CONFIG.replace("$1 > 80", '$1 == "hot"'))
    done = run(rover, "rules", "check", wrong, *options)
    assert done.exit_code == 3
    first, second, verdict = done.stdout.splitlines()
    assert first.startswith("overheating: the expression '$1 == \"hot\"', at column 1, compares")
    assert "$1 is temperature, a double" in first
    assert second == "trouble: fits"
    assert verdict == "1 of 2 rules do not fit the asset 'rover'."
    problems = [
        json.loads(line)
        for line in run(rover, "rules", "check", wrong, "--json").stdout.splitlines()
    ]
    assert [one["problem"] is None for one in problems] == [False, True]


def test_a_file_that_is_no_config_is_named(rover: Rover):
    """In words."""
    broken = rover.write("broken.yml", "asset_name: [")
    done = run(rover, "rules", "check", broken)
    assert done.exit_code == 1
    assert "broken.yml" in done.stderr
    done = run(rover, "rules", "check", rover.folder)
    assert done.exit_code == 1
    assert "can't be read: Is a directory" in done.stderr
    without = rover.write("without.yml", CONFIG.split("rules:", maxsplit=1)[0] + "flows: []\n")
    done = run(rover, "rules", "check", without)
    assert (done.exit_code, done.stdout) == (0, "The config has no rules.\n")


def test_evaluating_twice_changes_nothing(rover: Rover):
    """What live evaluation found is what is there."""
    for _ in range(2):
        done = run(rover, "rules", "evaluate", "--run", "first drive")
        assert done.exit_code == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "0 of 1 annotations are new."


def test_a_rule_that_can_not_be_evaluated_is_named(rover: Rover):
    """On stderr, with the reason; what the others found is there."""
    broken = rules_pb2.UpdateRuleRequest(name="broken", is_external=True)
    expression = broken.conditions.add().expression.calculated_channel
    expression.expression = "$1 > 80"
    expression.channel_references["$1"].name = "height"
    with use_sift_channel(rover.channel_config) as channel:
        stub = RuleServiceStub(channel)
        known = stub.ListRules(rules_pb2.ListRulesRequest(filter="name == 'overheating'")).rules
        action = known[0].conditions[0].actions[0]
        broken.conditions[0].actions.add(configuration=action.configuration)
        broken.asset_configuration.CopyFrom(known[0].asset_configuration)
        request = rules_pb2.BatchUpdateRulesRequest(
            rules=[broken], override_expression_validation=True
        )
        (made,) = stub.BatchUpdateRules(request).created_rule_identifiers
        done = run(rover, "rules", "evaluate", "--run", "first drive")
        stub.DeleteRule(rules_pb2.DeleteRuleRequest(rule_id=made.rule_id))
    assert done.exit_code == 0
    assert "the rule broken failed: $1 stands for the channel 'height'" in done.stderr
    assert done.stdout.splitlines()[-1] == "0 of 1 annotations are new."


def test_a_dry_run_stores_nothing(rover: Rover):
    """Of stored rules, and of such as are in a file alone."""
    before = documents(run(rover, "annotations", "list", "--json"))
    other = rover.write("other.yml", CONFIG.replace("> 80", "< 80"))
    until = ("--start", "2026-11-25 12:00:02Z", "--end", "2026-11-25T12:00:08Z", "--dry-run")
    done = run(rover, "rules", "evaluate", "--run", "first drive", "--config", other, *until)
    assert done.exit_code == 0, done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()[1:-1]] == [
        ["2026-11-25T12:00:02.000", "3.000"],
    ]
    assert done.stdout.splitlines()[-1] == "1 annotations would be found; none was stored."
    asked = ("rules", "evaluate", "--asset", "rover", "--rule", "overheating", *until, "--json")
    starts = {one["start_time"] for one in documents(run(rover, *asked))}
    assert {"2026-11-25T12:00:05Z", "2026-11-25T12:00:07Z"} <= starts
    assert documents(run(rover, "annotations", "list", "--json")) == before
    wrong = rover.write("wrong.yml", CONFIG.replace("$1 > 80", '$1 == "hot"'))
    done = run(rover, "rules", "evaluate", "--asset", "rover", "--config", wrong, "--dry-run")
    assert done.exit_code == 2
    assert "column 1" in done.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "--run, --asset"),
        (["--asset", "rover", "--start", "noon"], "2026-01-31T12:00:00.5Z"),
        (["--asset", "rover", "--config", "x.yml"], "--dry-run"),
        (["--asset", "rover", "--config", "x.yml", "--rule", "x", "--dry-run"], "exclude"),
    ],
)
def test_options_that_make_no_sense(rover: Rover, options: list[str], words: str):
    """Say what does."""
    done = run(rover, "rules", "evaluate", *options)
    assert done.exit_code == 2
    assert words in done.stderr


def test_servers_and_folders_that_do_not_answer(rover: Rover, tmp_path, monkeypatch):
    """What to do is said."""
    monkeypatch.delenv("SIFT_API_KEY", raising=False)
    asked = ["annotations", "list"]
    done = CliRunner().invoke(app, [*asked, "--data-dir", str(tmp_path)])
    assert (done.exit_code, "--data-dir" in done.stderr) == (1, True)
    at = ["--uri", f"http://{rover.server.address}"]
    done = CliRunner().invoke(app, [*asked, *at])
    assert (done.exit_code, "SIFT_API_KEY" in done.stderr) == (2, True)
    monkeypatch.setenv("SIFT_API_KEY", "not the key")
    done = CliRunner().invoke(app, [*asked, *at])
    assert (done.exit_code, "SIFT_API_KEY" in done.stderr) == (1, True)
    monkeypatch.setenv("SIFT_API_KEY", rover.server.api_key)
    assert CliRunner().invoke(app, [*asked, *at]).exit_code == 0
    done = CliRunner().invoke(app, [*asked, "--uri", "http://127.0.0.1:1"])
    assert (done.exit_code, "does not answer" in done.stderr) == (1, True)


def test_a_folder_that_nobody_serves_is_served_for_the_command(tmp_path):
    """And says where it is served only while it is."""
    folder = tmp_path / "telemetry"
    with Server(ServerSettings(folder, port=0)) as server:
        assert served_uri(folder) == f"http://{server.address}"
    assert served_uri(folder) is None
    began_s = time.monotonic()
    done = CliRunner().invoke(app, ["rules", "list", "--data-dir", str(folder)])
    assert (done.exit_code, done.stdout) == (0, "")
    assert time.monotonic() - began_s < 20
    assert served_uri(folder) is None


def test_a_server_on_all_addresses_is_reached_on_this_machine(tmp_path):
    """Nobody connects to 0.0.0.0."""
    folder = tmp_path / "telemetry"
    with Server(ServerSettings(folder, host="0.0.0.0", port=0)) as server:
        port = server.address.rpartition(":")[2]
        assert served_uri(folder) == f"http://127.0.0.1:{port}"
