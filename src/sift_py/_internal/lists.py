"""Lists of the protocol: their pages, and the literals of their filters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PAGE_SIZE = 1_000


def quoted(text: str) -> str:
    """A text as a literal of a filter."""
    return json.dumps(text, ensure_ascii=False)


def any_of(field: str, values: Iterable[str]) -> str:
    """A filter: the field is one of some values."""
    return f"{field} in [{', '.join(map(quoted, values))}]"


def paged(call: Any, request: Any, items: str) -> Iterator[Any]:  # noqa: ANN401 (any of the lists)
    """Everything that a list has, page by page.

    Args:
        call: A method of a stub.
        request: What to ask; its page token is changed.
        items: Field of the answer that has the items.
    """
    request.page_size = request.page_size or _PAGE_SIZE
    while True:
        page = call(request)
        yield from getattr(page, items)
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token
