"""Expressions are checked against the channels of the catalog, over gRPC."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc
import pytest

from sift.calculated_channels.v1 import calculated_channels_pb2 as pb2
from sift.calculated_channels.v1 import calculated_channels_pb2_grpc as pb2_grpc
from sift.common.type.v1 import channel_data_type_pb2 as types_pb2
from sift_server.api.app import build_app
from sift_server.api.arrow import Questions
from sift_server.api.http_server import HttpServer
from sift_server.api.key_ring import KeyRing
from sift_server.api.services.calculated_channels_v1 import CalculatedChannelsService
from sift_server.catalog import BitFieldElement, ChannelConfig, EnumType, FlowConfig
from sift_server.expressions import FUNCTIONS
from sift_server.expressions.scope import EXPRESSION_CHANNELS_MAX, NESTING_MAX
from sift_wire.columns import DataType
from support.serving import plain_channel

if TYPE_CHECKING:
    from collections.abc import Iterator

CHANNELS = (
    ChannelConfig("speed", DataType.FLOAT, "motor"),
    ChannelConfig("gear", DataType.UINT_32),
    ChannelConfig("state", DataType.ENUM, enum_types=(EnumType("Idle", 0), EnumType("Run", 1))),
    ChannelConfig("gpio", DataType.BIT_FIELD, bit_field_elements=(BitFieldElement("12v", 0, 2),)),
)
RULES = pb2.EXPRESSION_MODE_RULES
CALCULATED = pb2.EXPRESSION_MODE_CALCULATED_CHANNELS


async def no_ingest(_scope: object, _receive: object, _send: object) -> None:
    """No test sends points."""


@pytest.fixture
def stub(catalog) -> Iterator[pb2_grpc.CalculatedChannelsServiceStub]:
    """The service on a real port, over the catalog."""
    with ThreadPoolExecutor(2) as threads:
        services = [CalculatedChannelsService(catalog)]
        app = build_app(
            services,
            threads,
            KeyRing("the key"),
            no_ingest,
            no_ingest,
            lambda: True,
            Questions(threads, {}),
        )
        server = HttpServer(app, "127.0.0.1", 0)
        server.start()
        with plain_channel(f"127.0.0.1:{server.port}", "the key") as channel:
            yield pb2_grpc.CalculatedChannelsServiceStub(channel)
        server.stop(grace_ms=500)


@pytest.fixture
def references(catalog) -> dict[str, str]:
    """Ids of channels: `$1` is a double, `$2` an integer, `$3` an enum, `$4` a bit field."""
    config = catalog.ingestion_configs.create("rover", "key", [FlowConfig("flow", CHANNELS)])
    flow = catalog.ingestion_configs.flow(config.ingestion_config_id, "flow")
    return {f"${at}": one for at, one in enumerate(flow.channel_ids, 1)}


def validated(
    stub: pb2_grpc.CalculatedChannelsServiceStub, mode: int = CALCULATED, **expression: object
) -> str:
    """The name of the type, or the message."""
    request = pb2.ValidateExpressionRequest(expression=pb2.ExpressionRequest(**expression))
    request.mode = mode
    answer = stub.ValidateExpression(request)
    if answer.WhichOneof("result") == "error":
        return answer.error.error_message
    return types_pb2.ChannelDataType.Name(answer.success.data_type)


@pytest.mark.parametrize(
    ("expression", "data_type"),
    [
        ("$1 > 400", "BOOL"),
        ("avg($1, rolling('10s'))", "DOUBLE"),
        ("$2 + 1", "INT_64"),
        ("$3", "STRING"),
        ("$4['12v']", "INT_64"),
    ],
)
def test_an_expression_has_a_type(stub, references, expression, data_type):
    """By references of both forms."""
    listed = [
        pb2.ExpressionChannelReference(channel_reference=name, channel_id=one)
        for name, one in references.items()
    ]
    wanted = f"CHANNEL_DATA_TYPE_{data_type}"
    assert validated(stub, expression=expression, channel_references=references) == wanted
    assert validated(stub, expression=expression, expression_channel_references=listed) == wanted


def test_what_is_wrong_is_said(stub, references):
    """Which is an answer, not a failure of the call."""
    found = validated(stub, expression="$3 == 'Stop'", channel_references=references)
    assert "at column 7, compares state (an enum) with 'Stop'" in found
    assert "stands for no channel" in validated(stub, expression="$1 > 1")
    found = validated(stub, expression="$1 > 1", channel_references={"$1": "no id"})
    assert "$1 stands for no channel: there is no channel with the id 'no id'" in found


def test_a_rule_needs_a_condition(stub, references):
    """A calculated channel may be anything."""
    found = validated(stub, RULES, expression="$1 + 1", channel_references=references)
    assert "not a condition" in found
    found = validated(stub, RULES, expression="$1 > 1", channel_references=references)
    assert found == "CHANNEL_DATA_TYPE_BOOL"


def test_what_this_server_does_not_have_is_said(stub, references):
    """Instead of a type that it would not give."""
    reference = pb2.ExpressionChannelReference
    user = [{"user_defined_function_version_id": "id"}]
    found = validated(
        stub, expression="$1 > 1", channel_references=references, function_dependencies=user
    )
    assert "functions of users" in found
    two = [reference(channel_reference="$1", channel_id=references["$2"])]
    found = validated(
        stub,
        expression="$1 > 1",
        channel_references=references,
        expression_channel_references=two,
    )
    assert "$1 stands for two channels" in found
    many = {f"${number}": "id" for number in range(EXPRESSION_CHANNELS_MAX + 1)}
    found = validated(stub, expression="$1 > 1", channel_references=many)
    assert "101 references, the limit is 100 (EXPRESSION_CHANNELS_MAX)" in found


def nested(levels: int, channel_id: str) -> pb2.ExpressionChannelReference:
    """A reference to an expression in which there are others."""
    found = pb2.ExpressionChannelReference(channel_reference="$1", channel_id=channel_id)
    for _ in range(levels):
        inner = pb2.ExpressionRequest(expression="$1 * 2", expression_channel_references=[found])
        found = pb2.ExpressionChannelReference(channel_reference="$1", calculated_channel=inner)
    return found


def test_a_reference_may_stand_for_an_expression(stub, references):
    """Which may have others inside, up to a limit."""
    for levels, expected in ((1, "DOUBLE"), (NESTING_MAX, "DOUBLE")):
        inner = nested(levels, references["$1"])
        found = validated(stub, expression="$1 + 1", expression_channel_references=[inner])
        assert found == f"CHANNEL_DATA_TYPE_{expected}"
    inner = nested(NESTING_MAX + 1, references["$1"])
    found = validated(stub, expression="$1 + 1", expression_channel_references=[inner])
    assert "more than 8 calculated channels are inside of each other (NESTING_MAX)" in found
    inner = nested(1, references["$3"])
    found = validated(stub, expression="$1 + 1", expression_channel_references=[inner])
    assert "names the calculated channel $1: the expression '$1 * 2', at column 1" in found


def test_functions_are_listed(stub):
    """All on one page, or as many as are asked for."""
    request = pb2.ListExpressionIdentifiersRequest
    whole = stub.ListExpressionIdentifiers(request())
    names = [one.name for one in whole.identifiers]
    assert names == [name for name, several in FUNCTIONS.items() for _ in several]
    assert not whole.next_page_token
    average = whole.identifiers[names.index("avg")]
    assert average.display_name == 'avg(x, rolling("10s"))'
    assert average.description == "The average of the window."
    assert average.library == pb2.EXPRESSION_IDENTIFIER_LIBRARY_SUMMARY
    assert average.type == pb2.EXPRESSION_IDENTIFIER_TYPE_FUNCTION
    paged, token = [], ""
    while True:
        page = stub.ListExpressionIdentifiers(request(page_size=7, page_token=token))
        assert len(page.identifiers) <= 7
        paged += [one.name for one in page.identifiers]
        token = page.next_page_token
        if not token:
            break
    assert paged == names
    with pytest.raises(grpc.RpcError, match="'x' is not a page token"):
        stub.ListExpressionIdentifiers(request(page_token="x"))
