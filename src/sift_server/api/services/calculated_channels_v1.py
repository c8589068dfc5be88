"""`sift.calculated_channels.v1.CalculatedChannelsService`: what an expression may be, and is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift.calculated_channels.v1 import calculated_channels_pb2 as pb2
from sift_server.api.services.convert import to_data_type
from sift_server.errors import InvalidArgumentError, NotFoundError
from sift_server.expressions import FUNCTIONS, Type, compile_condition, compile_expression
from sift_server.expressions.compile import EXPRESSION_CHANNELS_MAX
from sift_server.expressions.functions import Library
from sift_server.rules.sources import source_of
from sift_wire.columns import DataType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sift_server.catalog import Catalog
    from sift_server.expressions import Source

_DATA_TYPES = {
    Type.BOOL: DataType.BOOL,
    Type.INT: DataType.INT_64,
    Type.DOUBLE: DataType.DOUBLE,
    Type.STRING: DataType.STRING,
}
_LIBRARIES = {
    Library.MATH: pb2.EXPRESSION_IDENTIFIER_LIBRARY_MATH,
    Library.STRING: pb2.EXPRESSION_IDENTIFIER_LIBRARY_STRING,
    Library.STATEFUL: pb2.EXPRESSION_IDENTIFIER_LIBRARY_STATEFUL,
    Library.SUMMARY: pb2.EXPRESSION_IDENTIFIER_LIBRARY_SUMMARY,
}
_IDENTIFIERS = [
    pb2.ExpressionIdentifier(
        name=function.name,
        description=function.meaning,
        type=pb2.EXPRESSION_IDENTIFIER_TYPE_FUNCTION,
        display_name=function.form,
        library=_LIBRARIES[function.library],
    )
    for several in FUNCTIONS.values()
    for function in several
]


class CalculatedChannelsService:
    """Lists the functions of expressions, and checks expressions against channels."""

    SERVICE_NAME = "sift.calculated_channels.v1.CalculatedChannelsService"

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def list_expression_identifiers(
        self, request: pb2.ListExpressionIdentifiersRequest
    ) -> pb2.ListExpressionIdentifiersResponse:
        """Return a page of the functions, which are the same in all modes.

        Raises:
            InvalidArgumentError: The page token is none of this list.
        """
        token = request.page_token or "0"
        if not (token.isascii() and token.isdigit()) or len(token) > len(str(len(_IDENTIFIERS))):
            raise InvalidArgumentError(
                f"{token[:100]!r} is not a page token; send the next_page_token of the page before"
            )
        start = int(token)
        end = start + (request.page_size or len(_IDENTIFIERS))
        return pb2.ListExpressionIdentifiersResponse(
            identifiers=_IDENTIFIERS[start:end],
            next_page_token=str(end) if end < len(_IDENTIFIERS) else None,
        )

    def validate_expression(
        self, request: pb2.ValidateExpressionRequest
    ) -> pb2.ValidateExpressionResponse:
        """Return the type of an expression, or what is wrong with it; a rule's is a condition."""
        is_rule = request.mode == pb2.EXPRESSION_MODE_RULES
        compile_one = compile_condition if is_rule else compile_expression
        try:
            references = self._sources(request.expression)
            expression = compile_one(request.expression.expression, references)
        except InvalidArgumentError as error:
            return pb2.ValidateExpressionResponse(
                error=pb2.ErrorValidatingExpressionResult(error_message=str(error))
            )
        data_type = to_data_type(_DATA_TYPES[expression.type])
        return pb2.ValidateExpressionResponse(
            success=pb2.SuccessValidatingExpressionResult(data_type=data_type)
        )

    def _sources(self, request: pb2.ExpressionRequest) -> Mapping[str, Source]:
        """The channels that references stand for, from both forms of saying so."""
        if request.function_dependencies:
            raise InvalidArgumentError(
                "the expression uses functions of users, which this server does not have; write"
                " what they compute"
            )
        channel_ids = dict(request.channel_references)
        for one in request.expression_channel_references:
            name = one.channel_reference
            if one.HasField("calculated_channel"):
                raise InvalidArgumentError(
                    f"{name} stands for a calculated channel, which can't be part of an expression"
                    " here; write its expression in its place"
                )
            if channel_ids.setdefault(name, one.channel_id) != one.channel_id:
                raise InvalidArgumentError(f"{name} stands for two channels; name each otherwise")
        if len(channel_ids) > EXPRESSION_CHANNELS_MAX:
            raise InvalidArgumentError(
                f"the expression has {len(channel_ids):,} references, the limit is"
                f" {EXPRESSION_CHANNELS_MAX} (EXPRESSION_CHANNELS_MAX); split it into several rules"
            )
        return {name: self._source(name, channel_id) for name, channel_id in channel_ids.items()}

    def _source(self, name: str, channel_id: str) -> Source:
        try:
            return source_of(self._catalog.channels.get(channel_id))
        except NotFoundError as error:
            raise InvalidArgumentError(f"{name} stands for no channel: {error}") from None
