"""Rules: conditions over channels of assets, and the annotations that they make where those hold.

Every change of what a rule says makes a version of it, and old versions stay. What is asked of a
rule twice makes one version. A rule that was deleted is kept, as its annotations are; whatever
declares it again brings it back.

The rules of an asset have a JSON form, too, a list that is replaced as a whole. Its text is given
back byte for byte; each entry is a rule as any other, known by its name.

Nothing in here reads expressions: `sift_server.rules` checks them before they come here.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from sift_server.catalog import json_rule_lists, rule_rows, rule_search, rule_writing, tables, users
from sift_server.catalog.chunks import chunks
from sift_server.catalog.fields import Field, Filterable, Kind, MetadataField, has_row
from sift_server.catalog.paging import Listing, ListRequest, Page
from sift_server.catalog.rule_conditions import Declared, assets_by_tag, assets_of, conditions
from sift_server.catalog.rule_ids import with_ids
from sift_server.catalog.rule_writing import Change
from sift_server.errors import InvalidArgumentError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import Connection

    from sift_server.catalog.context import Context
    from sift_server.catalog.json_rules import JsonRule
    from sift_server.catalog.rule_conditions import RuleCondition
    from sift_server.catalog.rule_content import RuleContent
    from sift_server.catalog.rule_ids import AskedIds
    from sift_server.catalog.rule_rows import Rule, RuleVersion
    from sift_server.catalog.rule_search import FoundRules, RuleSearch

NO_RULES = "[]"
"""The text of an asset that was never given rules in JSON."""

_rules = tables.rules.c
_versions = tables.rule_versions.c

RULE_FIELDS = Filterable(
    "rules",
    {
        "rule_id": Field(Kind.TEXT, _rules.rule_id),
        "name": Field(Kind.TEXT, _rules.name),
        "description": Field(Kind.TEXT, _rules.description),
        "client_key": Field(Kind.TEXT, _rules.client_key, is_nullable=True),
        "organization_id": Field(Kind.TEXT, _rules.organization_id),
        "asset_id": Field(
            Kind.TEXT,
            tables.rule_assets.c.asset_id,
            within=lambda that: has_row(tables.rule_assets.c.rule_id == _rules.rule_id, that),
        ),
        "tag_id": Field(
            Kind.TEXT,
            tables.rule_asset_tags.c.tag_id,
            within=lambda that: has_row(tables.rule_asset_tags.c.rule_id == _rules.rule_id, that),
        ),
        "is_enabled": Field(Kind.BOOL, _rules.is_enabled),
        "is_live_evaluation_enabled": Field(Kind.BOOL, _rules.is_live),
        "is_external": Field(Kind.BOOL, _rules.is_external),
        "is_archived": Field(Kind.BOOL, _rules.archived_ns.is_not(None)),
        "created_date": Field(Kind.TIME, _rules.created_ns),
        "modified_date": Field(Kind.TIME, _rules.modified_ns),
        "archived_date": Field(Kind.TIME, _rules.archived_ns, is_nullable=True),
        "deleted_date": Field(Kind.TIME, _rules.deleted_ns, is_nullable=True),
        "created_by_user_id": Field(Kind.TEXT, _rules.created_by_user_id),
        "modified_by_user_id": Field(Kind.TEXT, _rules.modified_by_user_id),
        "metadata": MetadataField(tables.rule_metadata, _rules.rule_id),
    },
    missing=dict.fromkeys(("folders", "activeFolders"), "this server has no folders"),
)
_listing = Listing(RULE_FIELDS, "created_date desc", (_rules.sequence,))

RULE_VERSION_FIELDS = Filterable(
    "versions of a rule",
    {
        "rule_version_id": Field(Kind.TEXT, _versions.rule_version_id),
        "user_notes": Field(Kind.TEXT, _versions.notes),
        "change_message": Field(Kind.TEXT, _versions.change_message),
        "version": Field(Kind.NUMBER, _versions.number),
        "created_date": Field(Kind.TIME, _versions.created_ns),
    },
)
_version_listing = Listing(RULE_VERSION_FIELDS, "version desc", (_versions.sequence,))


@dataclass(frozen=True, slots=True)
class RuleDraft:
    """What a client says of a rule.

    Attributes:
        rule_id: Which rule it is; empty to go by the client key.
        client_key: Its key; empty for none, or not to say.
        notes: What to keep with the version.
        asked_ids: Which of the conditions and actions it has are meant, in their order. Without,
            they go by their places.
    """

    content: RuleContent
    rule_id: str = ""
    client_key: str = ""
    organization_id: str = ""
    notes: str = ""
    is_archived: bool = False
    asked_ids: tuple[AskedIds, ...] = ()


@dataclass(frozen=True, slots=True)
class RulesUpdate:
    """What became of a list of rules.

    Attributes:
        total_count: How many rules the list has.
        created_count: Rules of a name that was not there before.
        updated_count: Rules of a name that was there, which say something else.
        deleted_count: Rules whose name is gone.
    """

    total_count: int
    created_count: int = 0
    updated_count: int = 0
    deleted_count: int = 0


@dataclass(frozen=True, slots=True)
class PutRules:
    """What became of drafts.

    Attributes:
        rule_ids: The rules, in the order of the drafts.
        are_created: Which of them are new, in that order.
        updated_count: How many others have a new version.
    """

    rule_ids: tuple[str, ...]
    are_created: tuple[bool, ...]
    updated_count: int

    @property
    def created_count(self) -> int:
        """How many are new."""
        return sum(self.are_created)


class Rules:
    """The rules of the catalog. Safe from many threads; what returned is on disk.

    Attributes:
        log_position: Returns the position of the log now: what comes behind it is what a version
            that is made now is evaluated on live.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self.log_position: Callable[[], int] = lambda: 0

    @property
    def changes(self) -> int:
        """A number that grows with whatever may change what `live` says, or what it means.

        Those are changes to rules, to tags of assets, and to what is said of channels. Costs
        nothing.
        """
        return self._context.rule_changes.number

    def live(self) -> list[RuleCondition]:
        """Return the conditions that are to be evaluated while data comes.

        Those are of the newest version of every rule that is live, and neither archived nor
        deleted.
        """
        query = rule_rows.query().where(
            _rules.is_live, _rules.archived_ns.is_(None), _rules.deleted_ns.is_(None)
        )
        with self._context.database.read() as connection:
            rows = connection.execute(query.order_by(_rules.sequence))
            rules = map(rule_rows.rule_of, rows)
            return conditions(connection, map(Declared.of, rules))

    def conditions(self, rule_version_ids: Sequence[str]) -> list[RuleCondition]:
        """Return the conditions of versions of rules, whether they are live or not.

        Raises:
            NotFoundError: There is no version of one of the ids.
        """
        with self._context.database.read() as connection:
            rules = rule_rows.versions(connection, rule_version_ids)
            return conditions(connection, map(Declared.of, rules))

    def conditions_of(self, contents: Sequence[RuleContent]) -> list[RuleCondition]:
        """Return the conditions of rules that are not stored, with ids that are made up."""
        new_id, now_ns = self._context.new_id, self._context.now_ns()
        declared = [
            Declared("", "", content, with_ids(content, (), (), new_id, now_ns), 0)
            for content in contents
        ]
        with self._context.database.read() as connection:
            return conditions(connection, declared)

    def current_versions(self) -> list[str]:
        """Return the ids of the newest versions of all rules that are not archived or deleted."""
        query = select(_rules.current_version_id).where(
            _rules.archived_ns.is_(None), _rules.deleted_ns.is_(None)
        )
        with self._context.database.read() as connection:
            return list(connection.execute(query.order_by(_rules.sequence)).scalars())

    def assets_of(self, content: RuleContent) -> tuple[str, ...]:
        """Return the ids of the assets that a rule is about, also by their tags, each once."""
        if not content.tag_ids:
            return tuple(dict.fromkeys(content.asset_ids))
        with self._context.database.read() as connection:
            return assets_of(content, assets_by_tag(connection, content.tag_ids))

    def get(self, rule_id: str = "", client_key: str = "") -> Rule:
        """Return a rule by its id, or by its client key; also one that was deleted.

        Raises:
            NotFoundError: There is none.
            InvalidArgumentError: Both are empty.
        """
        with self._context.database.read() as connection:
            return rule_rows.get(connection, rule_id, client_key)

    def list_versions(self, rule_id: str, request: ListRequest) -> Page[RuleVersion]:
        """Return a page of the versions of a rule; the newest first.

        Raises:
            NotFoundError: There is no rule of that id.
            InvalidArgumentError: Filter or page token are wrong.
        """
        query = rule_rows.version_query().where(_rules.rule_id == rule_id)
        with self._context.database.read() as connection:
            rule_rows.get(connection, rule_id, "")
            page = _version_listing.page(
                connection, query, request, self._context.now_ns(), scope=rule_id
            )
        return Page([rule_rows.version_of(row) for row in page.items], page.next_token)

    def versions(self, rule_version_ids: Sequence[str]) -> list[Rule]:
        """Return rules as they were in some versions, in the order of the ids.

        Raises:
            NotFoundError: There is no version of one of the ids.
        """
        with self._context.database.read() as connection:
            return rule_rows.versions(connection, rule_version_ids)

    def list(self, request: ListRequest) -> Page[Rule]:
        """Return a page of the rules; the newest first, if not asked otherwise.

        Those that were deleted are among them only if the filter names `deleted_date`.

        Raises:
            InvalidArgumentError: Filter, order or page token are wrong.
        """
        query = rule_rows.query()
        if "deleted_date" not in request.filter:
            query = query.where(_rules.deleted_ns.is_(None))
        with self._context.database.read() as connection:
            page = _listing.page(connection, query, request, self._context.now_ns())
        return Page([rule_rows.rule_of(row) for row in page.items], page.next_token)

    def search(self, wanted: RuleSearch) -> FoundRules:
        """Return rules by their names, and the like; the newest first, if not asked otherwise.

        Raises:
            InvalidArgumentError: The pattern can't be searched for, the order is none, or too much
                is asked for.
        """
        with self._context.database.read() as connection:
            return rule_search.search(connection, wanted)

    def create(self, draft: RuleDraft) -> Rule:
        """Create a rule.

        Raises:
            AlreadyExistsError: Another rule has the client key.
            NotFoundError: An asset, tag or user does not exist.
            InvalidArgumentError: It has no name, or what it has can't be stored.
            ResourceExhaustedError: An asset would have too many rules.
        """
        with self._context.database.write() as connection:
            (rule_id,) = self._write(connection, [_change(None, draft)])
            return rule_rows.get(connection, rule_id, "")

    def put(self, drafts: Sequence[RuleDraft], *, dry_run: bool = False) -> PutRules:
        """Create and update rules: all of them, or none.

        A draft is about the rule of its id, or of its client key, or else about a new one. A rule
        that says the same already stays at its version; one that was deleted comes back.

        Args:
            drafts: What they are to be.
            dry_run: Only see what would be; nothing is changed.

        Raises:
            NotFoundError: There is no rule of an id, or it names what there is not.
            InvalidArgumentError: Two drafts are about one rule, or a client key would change; and
                as for `create`.
            AlreadyExistsError: As for `create`.
            ResourceExhaustedError: As for `create`.
        """
        with self._trying(dry_run) as connection:
            before = [_find(connection, draft) for draft in drafts]
            known = Counter(rule.rule_id for rule in before if rule is not None)
            for rule_id, count in known.items():
                if count > 1:
                    raise InvalidArgumentError(f"the rule {rule_id!r} is there {count} times")
            new = Counter(
                one.client_key for one, rule in zip(drafts, before, strict=True) if not rule
            )
            for client_key, count in new.items():
                if client_key and count > 1:
                    raise InvalidArgumentError(
                        f"the client key {client_key!r} is there {count} times; keys are unique"
                    )
            changes = [_change(rule, draft) for rule, draft in zip(before, drafts, strict=True)]
            written = iter(self._write(connection, [one for one in changes if _is_change(one)]))
            rule_ids = [
                next(written) if _is_change(one) or one.before is None else one.before.rule_id
                for one in changes
            ]
        created = tuple(one.before is None for one in changes)
        updated = sum(one.before is not None and _is_change(one) for one in changes)
        return PutRules(tuple(rule_ids), created, updated)

    def set_archived(self, keys: Sequence[tuple[str, str]], *, archived: bool) -> None:
        """Archive rules, or take them out again: all of them, or none.

        Args:
            keys: Id and client key of each, one of them empty.
            archived: What they are to be.

        Raises:
            NotFoundError: There is no such rule.
        """
        self._mark("archived_ns", keys, archived)

    def set_deleted(self, keys: Sequence[tuple[str, str]], *, deleted: bool) -> None:
        """Delete rules, or bring them back: all of them, or none. Annotations stay.

        Raises:
            NotFoundError: There is no such rule.
        """
        self._mark("deleted_ns", keys, deleted)

    def view_json(self, asset_id: str) -> str:
        """Return the rules of an asset in their JSON form, as they were last given.

        Raises:
            NotFoundError: There is no asset of that id.
        """
        with self._context.database.read() as connection:
            stored = json_rule_lists.stored(connection, asset_id)
        return NO_RULES if stored is None else stored

    def replace_json(
        self,
        asset_id: str,
        rules_json: str,
        wanted: Sequence[JsonRule],
        *,
        dry_run: bool = False,
    ) -> RulesUpdate:
        """Replace the JSON rules of an asset: all of them, or nothing is changed.

        A rule that says the same as before stays at its version. One whose name is gone is deleted.

        Args:
            asset_id: The asset.
            rules_json: The text to give back.
            wanted: What it says.
            dry_run: Only see what would be; nothing is changed.

        Raises:
            NotFoundError: There is no asset of that id.
            ResourceExhaustedError: The asset would have too many rules.
        """
        now_ns = self._context.now_ns()
        with self._trying(dry_run) as connection:
            json_rule_lists.store(connection, asset_id, rules_json, now_ns)
            known = json_rule_lists.known(connection, asset_id)
            contents = json_rule_lists.contents(connection, self._context, asset_id, wanted)
            changes = [_json_change(known.get(one.name), one, asset_id) for one in contents]
            written = [one for one in changes if _is_change(one)]
            names = {content.name for content in contents}
            gone = [
                rule.rule_id
                for rule in known.values()
                if rule.content.name not in names and rule.deleted_ns is None
            ]
            # First of all, for they may have to make room.
            self._set(connection, "deleted_ns", gone, now_ns)
            self._write(connection, written)
        created = sum(one.before is None or one.before.deleted_ns is not None for one in written)
        return RulesUpdate(len(wanted), created, len(written) - created, len(gone))

    @contextmanager
    def _trying(self, dry_run: bool) -> Iterator[Connection]:
        """A transaction, which comes to nothing if it is only a try."""
        with suppress(_TriedError), self._context.database.write() as connection:
            yield connection
            if dry_run:
                raise _TriedError

    def _write(self, connection: Connection, changes: Sequence[Change]) -> Sequence[str]:
        return rule_writing.write(connection, self._context, self.log_position(), changes)

    def _mark(self, column: str, keys: Sequence[tuple[str, str]], is_set: bool) -> None:
        value = self._context.now_ns() if is_set else None
        with self._context.database.write() as connection:
            rules = [rule_rows.get(connection, *key) for key in keys]
            changed = [
                rule.rule_id for rule in rules if (getattr(rule, column) is not None) != is_set
            ]
            self._set(connection, column, list(dict.fromkeys(changed)), value)
            if not is_set:
                self._begin_anew(connection, changed)

    def _set(
        self, connection: Connection, column: str, rule_ids: Sequence[str], value: int | None
    ) -> None:
        values = {
            column: value,
            "modified_ns": self._context.now_ns(),
            "modified_by_user_id": users.owner_id(connection, self._context),
        }
        for ids in chunks(rule_ids):
            connection.execute(update(tables.rules).where(_rules.rule_id.in_(ids)).values(values))
        if rule_ids:
            self._context.rule_changes.count(connection)

    def _begin_anew(self, connection: Connection, rule_ids: Sequence[str]) -> None:
        """What came while a rule was archived or deleted is not evaluated live."""
        for ids in chunks(rule_ids):
            current = select(_rules.current_version_id).where(_rules.rule_id.in_(ids))
            connection.execute(
                update(tables.rule_versions)
                .where(_versions.rule_version_id.in_(current))
                .values(live_from_position=self.log_position())
            )


class _TriedError(Exception):
    """Takes back what was only tried."""


def _find(connection: Connection, draft: RuleDraft) -> Rule | None:
    if draft.rule_id:
        rule = rule_rows.get(connection, draft.rule_id, "")
        if draft.client_key and rule.client_key not in (None, draft.client_key):
            raise InvalidArgumentError(
                f"the rule {draft.rule_id!r} has the client key {rule.client_key!r}, which can't"
                f" become {draft.client_key!r}; create another rule instead"
            )
        return rule
    if not draft.client_key:
        return None
    try:
        return rule_rows.get(connection, "", draft.client_key)
    except NotFoundError:
        return None


def _change(before: Rule | None, draft: RuleDraft) -> Change:
    return Change(
        before=before,
        content=draft.content,
        notes=draft.notes,
        client_key=draft.client_key or None,
        organization_id=draft.organization_id,
        asked_ids=draft.asked_ids,
        is_archived=draft.is_archived,
    )


def _json_change(before: Rule | None, content: RuleContent, asset_id: str) -> Change:
    # The JSON form does not say whether a rule is archived, so that it stays as people have it.
    is_archived = (
        before is not None and before.deleted_ns is None and before.archived_ns is not None
    )
    return Change(before, content, json_asset_id=asset_id, is_archived=is_archived)


def _is_change(change: Change) -> bool:
    before = change.before
    return (
        before is None
        or before.deleted_ns is not None
        or before.content != change.content
        or (before.archived_ns is not None) != change.is_archived
        or (change.client_key is not None and change.client_key != before.client_key)
    )
