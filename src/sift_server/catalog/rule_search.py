"""Rules by their names, and the like: what clients asked for before lists had filters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, func, or_, select

from sift_server.catalog import patterns, rule_rows, tables
from sift_server.catalog.fields import has_row
from sift_server.catalog.filters import FILTER_LIST_ITEMS_MAX, FILTER_PATTERN_CHARS_MAX
from sift_server.catalog.paging import PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX
from sift_server.errors import InvalidArgumentError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sift_server.catalog.fields import Condition
    from sift_server.catalog.rule_rows import Rule

_rules = tables.rules.c
_ORDERS = {
    "name": _rules.name,
    "created_date": _rules.created_ns,
    "modified_date": _rules.modified_ns,
}


@dataclass(frozen=True, slots=True)
class RuleSearch:
    """What is asked for: rules that are all of this. What is empty does not matter.

    Attributes:
        name: What the name has in it.
        is_pattern: Whether `name` is a regular expression, of RE2.
        asset_ids: It names one of these assets.
        asset_tag_ids: It is about the assets with one of these tags.
        asset_tag_names: The same, by name.
        with_deleted: Also those that were deleted.
        order_by: `name`, `created_date` or `modified_date`, the default.
        limit: How many of them; 0 for the default.
        offset: How many to leave out that come before.
    """

    name: str = ""
    is_pattern: bool = False
    is_case_sensitive: bool = False
    rule_ids: tuple[str, ...] = ()
    asset_ids: tuple[str, ...] = ()
    asset_tag_ids: tuple[str, ...] = ()
    asset_tag_names: tuple[str, ...] = ()
    with_deleted: bool = False
    order_by: str = ""
    is_ascending: bool = False
    limit: int = 0
    offset: int = 0


@dataclass(frozen=True, slots=True)
class FoundRules:
    """Some of the rules that were searched for, and how many there are in all."""

    total_count: int
    rules: list[Rule]


def search(connection: Connection, wanted: RuleSearch) -> FoundRules:
    """Search for rules.

    Raises:
        InvalidArgumentError: The pattern can't be searched for, the order is none, or too much is
            asked for.
    """
    order = _ORDERS.get(wanted.order_by or "created_date")
    if order is None:
        raise InvalidArgumentError(
            f"order_by names {wanted.order_by!r}; found rules are ordered by {', '.join(_ORDERS)}"
        )
    query = rule_rows.query().where(*_conditions(wanted))
    count = query.with_only_columns(func.count())
    by_time = _rules.sequence.asc() if wanted.is_ascending else _rules.sequence.desc()
    size = min(wanted.limit or PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)
    rows = connection.execute(
        query.order_by(order.asc() if wanted.is_ascending else order.desc(), by_time)
        .limit(size)
        .offset(wanted.offset)
    )
    found = [rule_rows.rule_of(row) for row in rows]
    return FoundRules(connection.execute(count).scalar_one(), found)


def _conditions(wanted: RuleSearch) -> list[Condition]:
    lists = (wanted.rule_ids, wanted.asset_ids, wanted.asset_tag_ids, wanted.asset_tag_names)
    items = sum(map(len, lists))
    if items > FILTER_LIST_ITEMS_MAX:
        raise InvalidArgumentError(
            f"the search has {items:,} ids and names; the limit is {FILTER_LIST_ITEMS_MAX:,}"
        )
    conditions: list[Condition] = []
    if not wanted.with_deleted:
        conditions.append(_rules.deleted_ns.is_(None))
    if wanted.name:
        conditions.append(_rules.name.regexp_match(_pattern(wanted)))
    assets, asset_tags = tables.rule_assets.c, tables.rule_asset_tags.c
    if wanted.rule_ids:
        conditions.append(_rules.rule_id.in_(wanted.rule_ids))
    if wanted.asset_ids:
        of_assets = assets.asset_id.in_(wanted.asset_ids)
        conditions.append(has_row(assets.rule_id == _rules.rule_id, of_assets))
    if wanted.asset_tag_ids or wanted.asset_tag_names:
        names = tables.tags.c.name.in_(wanted.asset_tag_names)
        named = select(tables.tags.c.tag_id).where(names)
        of_tags = or_(asset_tags.tag_id.in_(wanted.asset_tag_ids), asset_tags.tag_id.in_(named))
        conditions.append(has_row(and_(asset_tags.rule_id == _rules.rule_id, of_tags)))
    return conditions


def _pattern(wanted: RuleSearch) -> str:
    pattern = wanted.name if wanted.is_pattern else patterns.escaped(wanted.name)
    if len(pattern) > FILTER_PATTERN_CHARS_MAX:
        raise InvalidArgumentError(
            f"name_matches has {len(pattern):,} characters; the limit is"
            f" {FILTER_PATTERN_CHARS_MAX:,}"
        )
    if not wanted.is_case_sensitive:
        pattern = f"(?i){pattern}"
    try:
        patterns.check(pattern)
    except patterns.PatternError as error:
        raise InvalidArgumentError(f"name_matches can't be searched for: {error}") from None
    return pattern
