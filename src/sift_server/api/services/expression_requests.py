"""Expressions over ids of channels, between their messages and what evaluates them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift.calculated_channels.v1 import calculated_channels_pb2 as pb2
from sift_server.catalog import InlineExpression
from sift_server.errors import InvalidArgumentError
from sift_server.expressions import Nested
from sift_server.expressions.scope import EXPRESSION_CHANNELS_MAX, NESTING_MAX
from sift_server.rules.nesting import InlineNames, Names, named_parts
from sift_server.rules.sources import SourceKey

if TYPE_CHECKING:
    from sift_server.expressions import Source


def from_request(message: pb2.ExpressionRequest, level: int = 0) -> InlineExpression:
    """Read an expression, with what its references stand for in both forms of saying so.

    Raises:
        InvalidArgumentError: It uses what this server does not have, says two things of a
            reference, or has too many references or levels.
    """
    if message.function_dependencies:
        raise InvalidArgumentError(
            "the expression uses functions of users, which this server does not have; write what"
            " they compute"
        )
    if level > NESTING_MAX:
        raise InvalidArgumentError(
            f"more than {NESTING_MAX} calculated channels are inside of each other (NESTING_MAX);"
            " write the expression of one of them out"
        )
    references: dict[str, str | InlineExpression] = dict(message.channel_references)
    for one in message.expression_channel_references:
        name = one.channel_reference
        meant: str | InlineExpression = one.channel_id
        if one.HasField("calculated_channel"):
            meant = from_request(one.calculated_channel, level + 1)
        if references.setdefault(name, meant) != meant:
            raise InvalidArgumentError(f"{name} stands for two channels; name each otherwise")
    if len(references) > EXPRESSION_CHANNELS_MAX:
        raise InvalidArgumentError(
            f"the expression has {len(references):,} references, the limit is"
            f" {EXPRESSION_CHANNELS_MAX} (EXPRESSION_CHANNELS_MAX); split it into several rules"
        )
    return InlineExpression(message.expression, tuple(sorted(references.items(), key=_name)))


def _name(item: tuple[str, object]) -> str:
    return item[0]


def to_request(text: str, names: Names | InlineNames) -> pb2.ExpressionRequest:
    """Write an expression whose names are all known, with ids for them.

    What it names without a reference becomes a reference of that name.
    """
    message = pb2.ExpressionRequest(expression=text)
    for name, found in named_parts(text, names):
        if isinstance(found, Nested):
            assert isinstance(found.find, Names | InlineNames)  # noqa: S101 - made by `nesting`
            message.expression_channel_references.add(
                channel_reference=name, calculated_channel=to_request(found.text, found.find)
            )
        elif found is not None:
            message.channel_references[name] = _channel_id(found)
    return message


def inline_message(inline: InlineExpression) -> pb2.ExpressionRequest:
    """Write an expression as it was read."""
    message = pb2.ExpressionRequest(expression=inline.expression)
    for name, one in inline.references:
        if isinstance(one, InlineExpression):
            message.expression_channel_references.add(
                channel_reference=name, calculated_channel=inline_message(one)
            )
        else:
            message.channel_references[name] = one
    return message


def _channel_id(source: Source) -> str:
    assert isinstance(source.key, SourceKey)  # noqa: S101 - made by `source_of`
    return source.key.channel_id
