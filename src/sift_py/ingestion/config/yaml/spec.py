"""What the YAML files are made of.

These classes are what a file is checked against, see `sift_py.ingestion.config.yaml.load`, and
what it is read as. Keys that are not named here are ignored, so that a file may carry more. A key
that is not required may also be null.
"""

# Annotations stay values here: TypedDict needs them to see NotRequired.
from typing import Annotated, Any, Literal, NotRequired, TypeAlias, TypedDict

from sift_py.errors import YamlConfigError
from sift_py.ingestion.config.yaml._check import KeyPattern, OnlyWithDataType

__all__ = [
    "ChannelBitFieldElementYamlSpec",
    "ChannelConfigYamlSpec",
    "ChannelDataTypeYamlSpec",
    "ChannelEnumTypeYamlSpec",
    "FlowYamlSpec",
    "NamedExpressionYamlSpec",
    "RuleYamlSpec",
    "TelemetryConfigYamlSpec",
    "YamlConfigError",
]

ChannelDataTypeYamlSpec: TypeAlias = Literal[
    "double",
    "string",
    "enum",
    "bit_field",
    "bool",
    "float",
    "int32",
    "int64",
    "uint32",
    "uint64",
]
"""The spellings of `sift_py.ingestion.channel.ChannelDataTypeStrRep`."""


class ChannelEnumTypeYamlSpec(TypedDict):
    """A name that a number of an enum channel stands for."""

    name: str
    key: int


class ChannelBitFieldElementYamlSpec(TypedDict):
    """A named run of bits of a bit field channel."""

    name: str
    index: int
    bit_count: int


class ChannelConfigYamlSpec(TypedDict):
    """A channel.

    Attributes:
        enum_types: Required for `data_type: enum`.
        bit_field_elements: Required for `data_type: bit_field`. Channels of the other eight data
            types have neither.
    """

    name: str
    description: NotRequired[str]
    unit: NotRequired[str]
    component: NotRequired[str]
    data_type: ChannelDataTypeYamlSpec
    enum_types: NotRequired[list[ChannelEnumTypeYamlSpec]]
    bit_field_elements: NotRequired[list[ChannelBitFieldElementYamlSpec]]


_Channel: TypeAlias = Annotated[
    ChannelConfigYamlSpec,
    OnlyWithDataType(
        "enum_types", "enum", shape=list[ChannelEnumTypeYamlSpec], ignored_with="bit_field"
    ),
    OnlyWithDataType(
        "bit_field_elements",
        "bit_field",
        shape=list[ChannelBitFieldElementYamlSpec],
        ignored_with="enum",
    ),
]


class FlowYamlSpec(TypedDict):
    """A flow. `channels` may be an empty list, but not left out."""

    name: str
    channels: list[_Channel]


class NamedExpressionYamlSpec(TypedDict):
    """Stands for an expression of a named expression module."""

    name: str


class RuleYamlSpec(TypedDict):
    """A rule.

    Attributes:
        assignee: Who reviews; only for `type: review`.
        tags: Names of tags.
        channel_references: What `$1`, `$2` and so on stand for.
        sub_expressions: What the placeholders of the expression stand for, such as `$limit` or
            `$limit2`; of a named one, or of one that is written out. The published client ignores
            them for the latter, and sends the placeholders to the server.
    """

    name: str
    description: NotRequired[str]
    expression: str | NamedExpressionYamlSpec
    type: Literal["review", "phase"]
    assignee: NotRequired[str]
    tags: NotRequired[list[str]]
    channel_references: NotRequired[
        list[
            Annotated[
                dict[str, _Channel],
                KeyPattern("channel reference", r"\$\d+", "'$' and a number, such as '$1'"),
            ]
        ]
    ]
    sub_expressions: NotRequired[
        list[
            Annotated[
                dict[str, Any],
                KeyPattern(
                    "sub-expression",
                    r"\$[a-zA-Z_][a-zA-Z0-9_]*",
                    "'$' and a name of letters, digits and '_' that starts with no digit, such as"
                    " '$limit'",
                ),
            ]
        ]
    ]


class TelemetryConfigYamlSpec(TypedDict):
    """A telemetry config.

    Attributes:
        ingestion_client_key: Derived where it is left out, see `TelemetryConfig`.
        channels: Only a place for YAML anchors.
    """

    asset_name: str
    ingestion_client_key: NotRequired[str]
    organization_id: NotRequired[str]
    channels: NotRequired[dict[str, _Channel]]
    rules: NotRequired[list[RuleYamlSpec]]
    flows: NotRequired[list[FlowYamlSpec]]
