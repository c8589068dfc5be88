"""`sift.calculated_channels.v1.CalculatedChannelsService`: what an expression may be, and is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift.calculated_channels.v1 import calculated_channels_pb2 as pb2
from sift_server.api.services.convert import to_data_type
from sift_server.api.services.expression_requests import from_request
from sift_server.calculated import DATA_TYPES, Resolution
from sift_server.errors import InvalidArgumentError
from sift_server.expressions import FUNCTIONS, check_condition
from sift_server.expressions.functions import Library

if TYPE_CHECKING:
    from sift_server.catalog import Catalog

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
        try:
            expression = Resolution(self._catalog).inline(from_request(request.expression))
            if request.mode == pb2.EXPRESSION_MODE_RULES:
                check_condition(expression)
        except InvalidArgumentError as error:
            return pb2.ValidateExpressionResponse(
                error=pb2.ErrorValidatingExpressionResult(error_message=str(error))
            )
        data_type = to_data_type(DATA_TYPES[expression.type])
        return pb2.ValidateExpressionResponse(
            success=pb2.SuccessValidatingExpressionResult(data_type=data_type)
        )
