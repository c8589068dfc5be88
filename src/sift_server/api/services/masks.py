"""Updates by field masks: which fields of a message take the place of what is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from sift_server.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from google.protobuf.field_mask_pb2 import FieldMask
    from google.protobuf.message import Message


D = TypeVar("D")
W = TypeVar("W")


def update_paths(mask: FieldMask, message: Message, updatable: Collection[str]) -> set[str]:
    """Return the fields that an update is about.

    A mask without paths stands for the fields that are set, `*` for all that can be updated.

    Raises:
        InvalidArgumentError: The mask has another path; names it, and what can be updated.
    """
    paths = set(mask.paths)
    if "*" in paths:
        return set(updatable)
    if not paths:
        return {field.name for field, _ in message.ListFields() if field.name in updatable}
    for path in mask.paths:
        if path not in updatable:
            raise InvalidArgumentError(
                f"the update mask has the path {path!r}; what can be updated is"
                f" {', '.join(sorted(updatable))}"
            )
    return paths


def with_fields(
    draft: D, wanted: W, paths: Collection[str], changes: Mapping[str, Callable[[D, W], D]]
) -> D:
    """A draft with the fields of a message that an update is about.

    Args:
        draft: What is stored.
        wanted: The message.
        paths: See `update_paths`.
        changes: What makes the change of a path.
    """
    for path, changed in changes.items():
        if path in paths:
            draft = changed(draft, wanted)
    return draft


def archived_since(
    before_ns: int | None, paths: Collection[str], now_ns: Callable[[], int], *, is_archived: bool
) -> int | None:
    """When something was archived, or None, behind an update that may say whether it is.

    What is archived and stays so keeps the time of it.
    """
    if "is_archived" not in paths or is_archived == (before_ns is not None):
        return before_ns
    return now_ns() if is_archived else None
