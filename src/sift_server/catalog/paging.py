"""Pages of a list, by key: a page begins behind the last row of the one before.

A page token carries the sort keys of that row, so that rows which are added or removed meanwhile
shift nothing, and a fingerprint of the question, so that it can't be used to answer another one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Text, and_, func, or_

from sift_server.catalog.fields import Condition, Field, Filterable, Kind
from sift_server.catalog.filters import where
from sift_server.cel import INT_64_MAX, INT_64_MIN, shortened
from sift_server.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection, Row, Select

PAGE_SIZE_DEFAULT = 50
PAGE_SIZE_MAX = 1_000

ORDER_FIELDS_MAX = 8
"""How many fields `order_by` may have."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ListRequest:
    """What a client asks of a list.

    Attributes:
        filter: CEL; empty for all rows.
        order_by: `field`, `field asc` or `field desc`, comma separated; empty for the default.
        page_size: Most rows of a page; 0 for the default; a larger one than allowed is lowered.
        page_token: `next_token` of the page before; empty for the first.
    """

    filter: str = ""
    order_by: str = ""
    page_size: int = 0
    page_token: str = ""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items of a list.

    Attributes:
        items: The items, in order.
        next_token: The token of the next page, or an empty string after the last item.
    """

    items: list[T]
    next_token: str


class PageBytes:
    """Room for rows by the size of one of their columns; serves one page."""

    def __init__(self, bytes_max: int, column: str) -> None:
        self._bytes_left = bytes_max
        self._column = column

    def takes(self, row: Row[Any]) -> bool:
        """Whether a row still fits behind those that came before it."""
        self._bytes_left -= len(getattr(row, self._column))
        return self._bytes_left >= 0


@dataclass(frozen=True, slots=True)
class _Key:
    """One of the columns that rows are ordered by; never NULL, an integer or a text."""

    column: ColumnElement[Any]
    is_text: bool
    is_descending: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """A resource that can be listed.

    Attributes:
        filterable: Its fields.
        order_default: The order when none is asked for, as `order_by` writes it.
        tie_breakers: Columns that no two rows share, in ascending order of creation if rows have
            one. They are the last keys of every order.
        page_size_max: Most rows of a page.
    """

    filterable: Filterable
    order_default: str
    tie_breakers: tuple[ColumnElement[Any], ...]
    page_size_max: int = PAGE_SIZE_MAX

    def page(
        self,
        connection: Connection,
        query: Select[Any],
        request: ListRequest,
        now_ns: int,
        scope: str = "",
        room: Callable[[Row[Any]], bool] | None = None,
    ) -> Page[Row[Any]]:
        """Read one page.

        Args:
            connection: Where to read.
            query: What to read of each row; conditions that it has stay.
            request: What the client asked for.
            now_ns: What `now()` is in the filter.
            scope: What else belongs to the question, such as the id of the parent in `query`.
            room: Told of every row; the page ends before the first that it has no room for, but
                is never empty for that.

        Raises:
            InvalidArgumentError: Filter, order or token are wrong; says what and how.
        """
        order = self._order(request.order_by or self.order_default)
        question = _fingerprint(self.filterable.resource, scope, request.filter, request.order_by)
        query = query.where(where(request.filter, self.filterable, now_ns))
        if request.page_token:
            last = _read_token(request.page_token, question, order)
            query = query.where(_behind(order, last))
        size = min(request.page_size or PAGE_SIZE_DEFAULT, self.page_size_max)
        query = query.add_columns(
            *[key.column.label(f"order_key_{index}") for index, key in enumerate(order)]
        )
        query = query.order_by(
            *[key.column.desc() if key.is_descending else key.column for key in order]
        ).limit(size + 1)
        rows: list[Row[Any]] = []
        # Rows are taken one by one, because a row may be large and `room` may stop early.
        with connection.execute(query, execution_options=_ROW_BY_ROW) as result:
            for row in result:
                fits = room is None or room(row)
                if len(rows) == size or (rows and not fits):
                    return Page(rows, _token(question, rows[-1][-len(order) :]))
                rows.append(row)
        return Page(rows, "")

    def _order(self, text: str) -> list[_Key]:
        terms = [term.split() for term in text.split(",")]
        if len(terms) > ORDER_FIELDS_MAX:
            raise self._order_error(text, f"has more than {ORDER_FIELDS_MAX} fields")
        order = [self._key(term, text) for term in terms]
        # Rows of one moment follow the order of time, whichever way that goes.
        is_descending = order[-1].is_descending
        return [
            *order,
            *[
                _Key(column, isinstance(column.type, Text), is_descending)
                for column in self.tie_breakers
            ],
        ]

    def _key(self, term: list[str], text: str) -> _Key:
        name, *direction = term or [""]
        if direction not in ([], ["asc"], ["desc"]):
            raise self._order_error(text, "is not `field`, `field asc` or `field desc`")
        found = self.filterable.fields.get(name)
        if not isinstance(found, Field) or not found.is_sortable:
            raise self._order_error(text, f"names {shortened(name)}, which does not order rows")
        is_text = found.kind is Kind.TEXT
        lowest = "" if is_text else INT_64_MIN
        column = func.coalesce(found.column, lowest) if found.is_nullable else found.column
        return _Key(column, is_text, direction == ["desc"])

    def _order_error(self, text: str, what: str) -> InvalidArgumentError:
        names = sorted(
            name
            for name, found in self.filterable.fields.items()
            if isinstance(found, Field) and found.is_sortable
        )
        return InvalidArgumentError(
            f"order_by {shortened(text)} {what}; {self.filterable.resource} can be ordered by"
            f" {', '.join(names)}, comma separated"
        )


_ROW_BY_ROW = {"stream_results": True, "max_row_buffer": 16}


def _behind(order: list[_Key], last: Sequence[int | str]) -> Condition:
    """The condition that a row comes behind the one with the keys `last`."""
    behind: Condition | None = None
    for key, value in reversed(list(zip(order, last, strict=True))):
        strictly = key.column < value if key.is_descending else key.column > value
        if behind is None:
            behind = strictly
        else:
            # Not `> or (== and ...)`, which keeps databases from starting in an index.
            not_before = key.column <= value if key.is_descending else key.column >= value
            behind = and_(not_before, or_(strictly, behind))
    if behind is None:
        raise ValueError("an order has at least one key")
    return behind


def _fingerprint(*question: str) -> str:
    return hashlib.sha256(json.dumps(question).encode()).hexdigest()[:16]


def _token(question: str, keys: Sequence[int | str]) -> str:
    document = json.dumps([question, *keys], separators=(",", ":"))
    return base64.urlsafe_b64encode(document.encode()).decode()


def _read_token(token: str, question: str, order: list[_Key]) -> list[int | str]:
    try:
        document = json.loads(base64.urlsafe_b64decode(token.encode("ascii")))
    except (ValueError, RecursionError, binascii.Error):
        document = None
    if not isinstance(document, list) or not document or not isinstance(document[0], str):
        raise InvalidArgumentError(
            f"{shortened(token)} is not a page token; send the next_page_token of the page before,"
            " or an empty one for the first page"
        )
    if document[0] != question:
        raise InvalidArgumentError(
            "the page token belongs to a list with another filter or order; start again with an"
            " empty page token"
        )
    keys = document[1:]
    if len(keys) != len(order) or not all(map(_is_key, order, keys)):
        raise InvalidArgumentError(f"{shortened(token)} is a damaged page token; start again")
    return keys


def _is_key(key: _Key, value: object) -> bool:
    if key.is_text:
        return isinstance(value, str)
    return type(value) is int and INT_64_MIN <= value <= INT_64_MAX
