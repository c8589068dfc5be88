"""Telemetry configs: what one asset sends, declared in Python or read from YAML."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from sift_py.errors import TelemetryConfigValidationError
from sift_py.ingestion._internal.declared import check_flow
from sift_py.ingestion._internal.shown import shown_plain
from sift_py.ingestion.config.yaml._convert import flow_from_yaml, rule_from_yaml
from sift_py.ingestion.config.yaml.load import load_named_expression_modules, read_and_validate
from sift_py.ingestion.flow import FlowConfig

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike

    from sift_py.ingestion.rule.config import RuleConfig

__all__ = ["TelemetryConfig", "TelemetryConfigValidationError"]


@dataclass(init=False, unsafe_hash=True)
class TelemetryConfig:
    """What one asset sends: its flows, and the rules over them.

    Equal by value; hashed by asset and client key.

    The *ingestion client key* is the name under which the server keeps the flows. With the same
    key, a program may add flows and change what channels are described by: units, descriptions,
    enum types, bit field elements. It may not add a channel to a flow or change a channel's type:
    that takes a new key.

    A key that is left out is derived, so that the rule keeps itself: the SHA-256, in 64 hexadecimal
    digits, of the asset's name, the flows' names and their channels' fully qualified names and data
    types. It is the same in every process and for every order of flows and channels, and does not
    depend on what a key may carry without change, with one exception: another flow makes another
    key, since a config can't tell a new flow from a renamed one. Points go to the same channels of
    the same asset under either key.

    Attributes:
        asset_name: The asset; made by the server when it is new.
        ingestion_client_key: Given or derived.
        organization_id: Needed by users of several organizations.
        flows: Flow names are unique, and so are fully qualified channel names within a flow.
        rules: Rule names are unique.

    Example:
        ```python
        TelemetryConfig(
            asset_name="NostromoLV426",
            flows=[FlowConfig("logs", [ChannelConfig("log", ChannelDataType.STRING)])],
        )
        ```
    """

    asset_name: str
    ingestion_client_key: str
    organization_id: str | None = field(hash=False)
    flows: list[FlowConfig] = field(hash=False)
    rules: list[RuleConfig] = field(hash=False)

    def __init__(
        self,
        asset_name: str,
        ingestion_client_key: str | None = None,
        organization_id: str | None = None,
        flows: list[FlowConfig] | None = None,
        rules: list[RuleConfig] | None = None,
    ) -> None:
        """Check the flows, then the rules.

        Raises:
            TelemetryConfigValidationError: As `validate_flows` and `validate_rules`.
        """
        flows = [] if flows is None else flows
        rules = [] if rules is None else rules
        self.validate_flows(flows)
        self.validate_rules(rules)
        self.asset_name = asset_name
        self.ingestion_client_key = (
            _derive_client_key(asset_name, flows)
            if ingestion_client_key is None
            else ingestion_client_key
        )
        self.organization_id = organization_id
        self.flows = flows
        self.rules = rules

    @staticmethod
    def validate_flows(flows: list[FlowConfig]) -> None:
        """Check each flow, and that flow names are unique, and channel names within each flow.

        Raises:
            TelemetryConfigValidationError: They are not; or a field of a flow or a channel is of
                another type than it must be, out of range, or no Unicode.
        """
        for flow in flows:
            if not isinstance(flow, FlowConfig):
                raise TelemetryConfigValidationError(
                    f"Expected each of 'flows' to be a FlowConfig, got {shown_plain(flow)}."
                )
            check_flow(flow)
        for name in _repeated(flow.name for flow in flows):
            raise TelemetryConfigValidationError(
                f"Can't have two flows with the same name, '{name}', in a telemetry config."
            )
        for flow in flows:
            for fqn in _repeated(channel.fqn() for channel in flow.channels):
                raise TelemetryConfigValidationError(
                    f"Can't have two identical channels, '{fqn}', in flow '{flow.name}'."
                )

    @staticmethod
    def validate_rules(rules: list[RuleConfig]) -> None:
        """Check that rule names are unique.

        Raises:
            TelemetryConfigValidationError: They are not.
        """
        for name in _repeated(rule.name for rule in rules):
            raise TelemetryConfigValidationError(
                f"Can't have two rules with identical names, '{name}', in a telemetry config."
            )

    @classmethod
    def try_from_yaml(
        cls,
        path: str | PathLike[str],
        named_expression_modules: str | PathLike[str] | Iterable[str | PathLike[str]] | None = None,
    ) -> Self:
        """Read a telemetry config from a YAML file.

        `sift_py.ingestion.config.yaml` describes the file.

        Args:
            path: The file.
            named_expression_modules: Files of named expressions that its rules may use, or one.

        Raises:
            YamlConfigError: A file is not what it should be.
            TelemetryConfigValidationError: A rule uses a named expression that is in none of the
                modules, or names that must be unique are not.
            RuleConfigError: A sub-expression does not fit its expression, or is missing.
            OSError: A file can't be read.
        """
        spec = read_and_validate(path)
        named_expressions = load_named_expression_modules(named_expression_modules or ())
        return cls(
            asset_name=spec["asset_name"],
            ingestion_client_key=spec.get("ingestion_client_key"),
            organization_id=spec.get("organization_id"),
            flows=[flow_from_yaml(flow) for flow in spec.get("flows") or []],
            rules=[rule_from_yaml(rule, named_expressions) for rule in spec.get("rules") or []],
        )


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def _derive_client_key(asset_name: str, flows: list[FlowConfig]) -> str:
    """Hash what a client key stands for; JSON keeps names with odd characters apart."""
    content = {
        "asset_name": asset_name,
        "flows": {
            flow.name: {channel.fqn(): channel.data_type.value for channel in flow.channels}
            for flow in flows
        },
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
