"""Telemetry configs in Python, and the key that is derived where none is given."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import sift_py
from sift_py.errors import TelemetryConfigValidationError
from sift_py.ingestion.channel import (
    ChannelBitFieldElement,
    ChannelConfig,
    ChannelDataType,
    ChannelEnumType,
)
from sift_py.ingestion.config import telemetry
from sift_py.ingestion.config.telemetry import TelemetryConfig
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.rule.config import RuleActionCreatePhaseAnnotation, RuleConfig

if TYPE_CHECKING:
    from pathlib import Path


def double(name: str, **more: Any) -> ChannelConfig:
    return ChannelConfig(name, ChannelDataType.DOUBLE, **more)


def make_rule(name: str) -> RuleConfig:
    return RuleConfig(name, "", "$1 > 1", RuleActionCreatePhaseAnnotation(), [])


def derived_key(*flows: FlowConfig, asset_name: str = "rover", **more: Any) -> str:
    return TelemetryConfig(asset_name, flows=list(flows), **more).ingestion_client_key


def test_positional_arguments_are_in_the_published_order() -> None:
    """Programs pass arguments by position."""
    flows, rules = [FlowConfig("readings", [double("a")])], [make_rule("one")]
    config = TelemetryConfig("rover", "key", "organization", flows, rules)
    assert (config.asset_name, config.ingestion_client_key) == ("rover", "key")
    assert config.organization_id == "organization"
    assert config.flows is flows
    assert config.rules is rules


def test_default_lists_are_not_shared() -> None:
    """What is added to one config is not in another."""
    one, other = TelemetryConfig("a", "key"), TelemetryConfig("b", "key")
    one.flows.append(FlowConfig("readings", []))
    one.rules.append(make_rule("one"))
    assert other.flows == []
    assert other.rules == []


def test_flow_names_are_unique() -> None:
    """The message names the flow."""
    flows = [FlowConfig("readings", [double("a")]), FlowConfig("readings", [double("b")])]
    with pytest.raises(TelemetryConfigValidationError, match=r"two flows .* 'readings'"):
        TelemetryConfig("rover", "key", flows=flows)


def test_channel_names_are_unique_within_a_flow() -> None:
    """The same name of another type is refused too, and the same channel in two flows is fine."""
    same = [double("a"), ChannelConfig("a", ChannelDataType.STRING)]
    with pytest.raises(TelemetryConfigValidationError, match="channels, 'a', in flow 'readings'"):
        TelemetryConfig("rover", "key", flows=[FlowConfig("readings", same)])
    apart = [double("a"), double("a", component="motor")]
    TelemetryConfig("rover", flows=[FlowConfig("one", apart), FlowConfig("two", apart)])


def test_a_component_in_the_name_is_the_same_channel() -> None:
    """Channels are the same when their fully qualified names are."""
    channels = [double("motor.a"), double("a", component="motor")]
    with pytest.raises(TelemetryConfigValidationError, match=r"'motor\.a'"):
        TelemetryConfig.validate_flows([FlowConfig("readings", channels)])


@pytest.mark.parametrize(
    ("channel", "message"),
    [
        (
            ChannelConfig("a", "double"),  # type: ignore[arg-type]
            ", channel 'a': expected 'data_type' to be a ChannelDataType, got 'double'."
            " Use ChannelDataType.DOUBLE.",
        ),
        (
            ChannelConfig("a", None, component="left"),  # type: ignore[arg-type]
            ", channel 'left.a': expected 'data_type' to be a ChannelDataType, got None.",
        ),
        (double(5), ": the name of a channel must be a str, got 5."),  # type: ignore[arg-type]
        (double("\ud800"), r": the name of a channel has half of a surrogate pair: '\ud800'."),
        (
            double("a", component="\udfff"),
            r": the component of channel 'a' has half of a surrogate pair: '\udfff'.",
        ),
        (double("a", unit=1), ", channel 'a': 'unit' must be a str, got 1."),
        (
            double("a", description="\ud800"),
            r", channel 'a': 'description' has half of a surrogate pair: '\ud800'.",
        ),
        (
            ChannelConfig("a", ChannelDataType.ENUM, enum_types=[ChannelEnumType("on", 2**32)]),
            ", channel 'a': the key of enum type 'on' must be an int from 0 to 4294967295, got"
            " 4294967296.",
        ),
        (
            ChannelConfig(
                "a",
                ChannelDataType.ENUM,
                enum_types=[ChannelEnumType("on", "1")],  # type: ignore[arg-type]
            ),
            ", channel 'a': the key of enum type 'on' must be an int from 0 to 4294967295, got"
            " '1'.",
        ),
        (
            ChannelConfig(
                "a",
                ChannelDataType.ENUM,
                enum_types=[{"name": "on", "key": 1}],  # type: ignore[list-item]
            ),
            ", channel 'a': an item of 'enum_types' must be a ChannelEnumType, got {'name': 'on',"
            " 'key': 1}.",
        ),
        (
            ChannelConfig(
                "a",
                ChannelDataType.BIT_FIELD,
                bit_field_elements=[ChannelBitFieldElement("heater", -1, 1)],
            ),
            ", channel 'a': the index of bit field element 'heater' must be an int from 0 to"
            " 2147483647, got -1.",
        ),
        (
            ChannelConfig(
                "a",
                ChannelDataType.BIT_FIELD,
                bit_field_elements=[ChannelBitFieldElement("heater", 0, 2**32)],
            ),
            ", channel 'a': the bit_count of bit field element 'heater' must be an int from 0 to"
            " 4294967295, got 4294967296.",
        ),
    ],
)
def test_what_no_message_could_carry_is_refused(channel: ChannelConfig, message: str) -> None:
    """When the config is made; the message names flow, channel, field and value."""
    with pytest.raises(TelemetryConfigValidationError) as refused:
        TelemetryConfig("rover", "key", flows=[FlowConfig("readings", [channel])])
    assert refused.value.message == f"flow 'readings'{message}"


def test_flows_are_flow_configs_with_a_name() -> None:
    """Other things are named."""
    with pytest.raises(TelemetryConfigValidationError, match="to be a FlowConfig, got 'readings'"):
        TelemetryConfig("rover", flows=["readings"])  # type: ignore[list-item]
    with pytest.raises(TelemetryConfigValidationError, match=r"name of a flow .* got \['a'\]"):
        TelemetryConfig("rover", flows=[FlowConfig(["a"], [])])  # type: ignore[arg-type]


def test_rule_names_are_unique_and_flows_are_judged_first() -> None:
    """Flows are validated before rules."""
    rules = [make_rule("one"), make_rule("one")]
    with pytest.raises(TelemetryConfigValidationError, match=r"rules .* 'one'"):
        TelemetryConfig("rover", "key", rules=rules)
    flows = [FlowConfig("readings", []), FlowConfig("readings", [])]
    with pytest.raises(TelemetryConfigValidationError, match="two flows"):
        TelemetryConfig("rover", "key", flows=flows, rules=rules)


def test_configs_are_equal_by_value_and_hashable() -> None:
    """Another rule makes another config."""
    assert TelemetryConfig("rover") == TelemetryConfig("rover")
    assert len({TelemetryConfig("rover"), TelemetryConfig("rover")}) == 1
    assert TelemetryConfig("rover") != TelemetryConfig("rover", rules=[make_rule("one")])


def test_the_error_is_exported_where_programs_import_it_from() -> None:
    """`config.telemetry` had it before `errors` did."""
    assert telemetry.TelemetryConfigValidationError is TelemetryConfigValidationError


def test_a_derived_key_is_the_same_in_every_process_and_release() -> None:
    """It is pinned: another derivation would leave the configs on servers behind."""
    flow = FlowConfig("readings", [double("velocity", component="motor"), double("voltage")])
    assert derived_key(flow) == "95cad880e24ace7073c9f39b21395886744cbadf87b28f0240290d843bcfc4db"


def test_a_derived_key_is_blind_to_what_a_key_may_carry() -> None:
    """Order, description, unit, enum types, organization and rules don't enter."""
    state = ChannelConfig("state", ChannelDataType.ENUM)
    described = ChannelConfig(
        "state", ChannelDataType.ENUM, "what it does", "1", enum_types=[ChannelEnumType("Idle", 0)]
    )
    plain = derived_key(FlowConfig("a", [state, double("x")]), FlowConfig("b", [double("y")]))
    assert plain == derived_key(
        FlowConfig("b", [double("y", unit="V")]),
        FlowConfig("a", [double("x"), described]),
        organization_id="organization",
        rules=[make_rule("one")],
    )


def test_a_derived_key_changes_with_what_needs_a_new_one() -> None:
    """Asset, flow names, channel names, components and types each make another key."""
    keys = [
        derived_key(FlowConfig("a", [double("x")])),
        derived_key(FlowConfig("a", [double("x")]), asset_name="other"),
        derived_key(FlowConfig("b", [double("x")])),
        derived_key(FlowConfig("a", [double("y")])),
        derived_key(FlowConfig("a", [double("x", component="motor")])),
        derived_key(FlowConfig("a", [ChannelConfig("x", ChannelDataType.FLOAT)])),
        derived_key(FlowConfig("a", [double("x"), double("y")])),
        derived_key(FlowConfig("a", [double("x")]), FlowConfig("b", [double("y")])),
        derived_key(),
    ]
    assert len(set(keys)) == len(keys)


def test_a_given_key_is_kept() -> None:
    """Even an empty one: the server decides on it."""
    assert TelemetryConfig("rover", "").ingestion_client_key == ""


def test_importing_the_client_is_light() -> None:
    """No NumPy, no pandas, no server, and no YAML before a file is read."""
    program = (
        "import sys, sift_py.ingestion.config.telemetry, sift_py.errors\n"
        "print(sorted({'numpy', 'pandas', 'sift_server', 'yaml'} & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "[]\n"


def test_the_program_of_the_introduction_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is printed, on an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SIFT_URI", raising=False)
    (program,) = re.findall(r"```python\n(.*?)```", sift_py.__doc__, re.DOTALL)
    exec(compile(program, "sift_py.__doc__", "exec"), {})
    assert (tmp_path / "telemetry" / "api_key").exists()
