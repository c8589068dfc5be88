"""The JSON form of an asset's rules: a list that is replaced as a whole."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from sift_server.catalog import (
    AnnotationType,
    Attributes,
    ChannelConfig,
    EnumType,
    FlowConfig,
    ListRequest,
    RuleDraft,
    rule_writing,
)
from sift_server.errors import InvalidArgumentError, NotFoundError, ResourceExhaustedError
from sift_wire.columns import DataType


def entry(name: str, expression: str = "$1 > 5", channel: str = "wheel.speed", **more) -> dict:
    references = [{"channel_reference": "$1", "channel_identifier": channel}]
    return {
        "name": name,
        "description": "",
        "expression": expression,
        "expression_channel_references": references,
        "type": "review",
        **more,
    }


def text_of(*entries: dict) -> str:
    return json.dumps(entries)


def names(catalog, filter_: str = "") -> list[str]:
    rules = catalog.rules.list(ListRequest(filter_, order_by="name")).items
    return [rule.content.name for rule in rules]


def test_an_asset_has_no_rules_at_first(catalog, asset_id):
    """An empty array: an empty text is not JSON."""
    assert catalog.rules.view_json(asset_id) == "[]"


def test_an_unknown_asset_is_not_found(catalog, registration):
    """Neither viewed nor updated."""
    with pytest.raises(NotFoundError, match="'nowhere'"):
        catalog.rules.view_json("nowhere")
    with pytest.raises(NotFoundError, match="'nowhere'"):
        registration.update_json("nowhere", "[]")


def test_the_text_is_given_back_byte_for_byte(catalog, asset_id, registration):
    """Blanks, order of keys, escapes, spelling of numbers and unknown keys are the client's own."""
    text = (
        ' [ {"tags":[],\t"name" : "hei\\u00df",\n"expression":"steps > 1.50","x":1e2} ,'
        '{"name":"ß","expression":"armed"}]'
    )
    registration.update_json(asset_id, text)
    assert catalog.rules.view_json(asset_id) == text


def test_each_entry_is_a_rule(catalog, asset_id, registration):
    """With one condition, one action, tags and assignee by their ids; live, and of this asset."""
    registration.update_json(
        asset_id,
        text_of(
            entry("fast", tags=["motor", "red"], assignee="ellen@nostromo", description="Too fast"),
            entry("driving", '$1 == "Driving"', "state", type="phase"),
        ),
    )
    fast, driving = catalog.rules.live()
    assert (fast.name, fast.description, fast.expression) == ("fast", "Too fast", "$1 > 5")
    assert (fast.asset_ids, fast.references) == ((asset_id,), {"$1": "wheel.speed"})
    assert fast.action.annotation_type is AnnotationType.REVIEW
    assert fast.action.tags == ("motor", "red")
    assert catalog.users.get(fast.action.assigned_to_user_id).name == "ellen@nostromo"
    assert driving.action.annotation_type is AnnotationType.PHASE
    assert driving.action.assigned_to_user_id == ""
    assert names(catalog, f"asset_id == '{asset_id}'") == ["driving", "fast"]


def test_a_list_replaces_the_one_before(catalog, asset_id, registration):
    """What is new, changed and gone is counted by name."""
    first = registration.update_json(asset_id, text_of(entry("a"), entry("b"), entry("c")))
    assert (first.created_count, first.updated_count, first.deleted_count) == (3, 0, 0)
    second = registration.update_json(
        asset_id, text_of(entry("c", "$1 > 6"), entry("b"), entry("d"))
    )
    assert (second.created_count, second.updated_count, second.deleted_count) == (1, 1, 1)
    assert (first.total_count, second.total_count) == (3, 3)
    assert names(catalog) == ["b", "c", "d"]
    emptied = registration.update_json(asset_id, "[]")
    assert (emptied.total_count, emptied.deleted_count) == (0, 3)
    assert (catalog.rules.view_json(asset_id), names(catalog), catalog.rules.live()) == (
        "[]",
        [],
        [],
    )


def test_a_rule_that_says_the_same_stays_at_its_version(catalog, asset_id, registration):
    """However the text is written; one that says something else has a next version, and its ids."""
    registration.update_json(asset_id, text_of(entry("a", tags=["t"]), entry("b")))
    before = catalog.rules.live()
    changes = catalog.rules.changes
    again = registration.update_json(
        asset_id, json.dumps([entry("a", tags=["t"], x=5), entry("b")], indent=4)
    )
    assert (again.created_count, again.updated_count, again.deleted_count) == (0, 0, 0)
    assert catalog.rules.live() == before
    assert catalog.rules.changes == changes
    registration.update_json(asset_id, text_of(entry("a", tags=["t", "u"]), entry("b")))
    after = {one.name: one for one in catalog.rules.live()}
    assert after["b"] == before[1]
    assert after["a"].condition_id == before[0].condition_id
    assert after["a"].condition_version_id != before[0].condition_version_id
    versions = catalog.rules.list_versions(before[0].rule_id, ListRequest()).items
    assert [(one.number, one.change_message) for one in versions] == [
        (2, "Changed the conditions"), (1, "Created"),
    ]  # fmt: skip
    (old,) = catalog.rules.conditions([before[0].rule_version_id])
    assert old == before[0]


def test_a_rule_that_is_gone_is_kept_as_deleted_and_comes_back(catalog, asset_id, registration):
    """With a next version, evaluated on what comes from then on."""
    registration.update_json(asset_id, text_of(entry("a")))
    (before,) = catalog.rules.live()
    registration.update_json(asset_id, "[]")
    assert catalog.rules.get(before.rule_id).deleted_ns is not None
    assert names(catalog, "!(deleted_date == null)") == ["a"]
    catalog.rules.log_position = lambda: 77
    result = registration.update_json(asset_id, text_of(entry("a")))
    assert (result.created_count, result.updated_count) == (1, 0)
    (after,) = catalog.rules.live()
    assert (after.rule_id, after.condition_id) == (before.rule_id, before.condition_id)
    assert (before.live_from_position, after.live_from_position) == (0, 77)
    assert catalog.rules.get(before.rule_id).version.change_message == "Brought back"


def test_what_the_list_says_wins_over_an_update(catalog, asset_id, registration):
    """But not over archiving, which it does not speak of."""
    registration.update_json(asset_id, text_of(entry("a"), entry("b")))
    rules = {rule.content.name: rule for rule in catalog.rules.list(ListRequest()).items}
    changed = replace(rules["a"].content, description="by hand", is_live=False)
    registration.update(RuleDraft(changed, rules["a"].rule_id))
    catalog.rules.set_archived([(rules["b"].rule_id, "")], archived=True)
    assert catalog.rules.live() == []
    result = registration.update_json(asset_id, text_of(entry("a"), entry("b", "$1 > 7")))
    assert (result.created_count, result.updated_count) == (0, 2)
    (live,) = catalog.rules.live()
    assert (live.name, live.description) == ("a", "")
    assert catalog.rules.get(rules["b"].rule_id).archived_ns is not None


def test_a_try_changes_nothing(catalog, asset_id, registration):
    """It counts what would be."""
    registration.update_json(asset_id, text_of(entry("a"), entry("b")))
    before = (catalog.rules.view_json(asset_id), catalog.rules.live(), catalog.rules.changes)
    result = registration.update_json(
        asset_id, text_of(entry("b", "$1 > 6", tags=["new"]), entry("c")), dry_run=True
    )
    assert (result.created_count, result.updated_count, result.deleted_count) == (1, 1, 1)
    assert (
        catalog.rules.view_json(asset_id), catalog.rules.live(), catalog.rules.changes,
    ) == before  # fmt: skip
    assert catalog.tags.list(ListRequest("name == 'new'")).items == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"name":"a"}', "a JSON object, not an array"),
        ("null", "a JSON null"),
        ("5", "a JSON number"),
        ('[{"name":"a","expression":"armed"}, "b"]', "rule 2 is a JSON string, not an object"),
        ('[{"name":"a","expression":"armed"}, {}]', "rule 2 has no name"),
        ('[{"name":5}]', "rule 1 has no name"),
        ('[{"name":" "}]', "rule 1 has no name"),
        ('[{"name":"\\uD83D","expression":"armed"}]', "half of a character"),
        ('[{"name":"a","expression":"armed","x":{"\\ude00":1}}]', "half of a character"),
        (text_of(entry("a"), entry("a")), "two rules have the name 'a'"),
        ('[{"name":"a"}]', "rule 1, 'a', has no expression"),
        (text_of(entry("a", " ")), "rule 1, 'a', has no expression"),
        ('[{"name":"a","expression":5}]', "has a JSON number as `expression`"),
        (text_of(entry("a", type="alarm")), "the type 'alarm'; it is 'review' or 'phase'"),
        (text_of(entry("a", tags="red")), "a JSON string as `tags`, not an array"),
        (text_of(entry("a", tags=[""])), "no list of names"),
        (text_of(entry("a", expression_channel_references={})), "not an array"),
        (text_of(entry("a", expression_channel_references=[{}])), "does not say which"),
        (text_of(*[entry(str(number)) for number in range(10_001)]), "may have 10,000"),
    ],
)  # fmt: skip
def test_a_list_that_is_none_changes_nothing(catalog, asset_id, registration, text, said):
    """The answer says why; the rules before stay."""
    registration.update_json(asset_id, text_of(entry("kept")))
    before = catalog.rules.live()
    with pytest.raises(InvalidArgumentError) as caught:
        registration.update_json(asset_id, text)
    assert said in str(caught.value)
    assert catalog.rules.view_json(asset_id) == text_of(entry("kept"))
    assert catalog.rules.live() == before


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (entry("a", "$1 >"), ["rule 'a'", "column"]),
        (entry("a", "$1 > 5", "wheel.sped"), ["rule 'a'", "$1", "'wheel.sped'", "does not have"]),
        (entry("a", "$1 > 5", ""), ["rule 'a'", "$1", "''", "does not have"]),
        (entry("a", "$2 > 5"), ["$2, which stands for no channel", "column 1"]),
        (entry("a", "pressure > 5"), ["names pressure", "column 1"]),
        (entry("a", "$1 > 5", "log"), ["column 1", "$1 is log, a string"]),
        (entry("a", '$1 == "Flying"', "state"), ["'Flying'", "$1 is state, an enum"]),
        (entry("a", '$1 == "1"', "state"), ["'1'", "none of its names, 'Driving', 'Idle'"]),
        (entry("a", "$1 + 1", "steps"), ["not a condition", "$1 is steps, an integer"]),
        (entry("a", "$1 > 1", "raw"), ["channel of bytes", "$1 is raw, bytes"]),
        (entry("a", "$1 > 1", "gpio"), ["bit field", "gpio"]),
        (entry("a", "$1 > 1", "gpio.pump"), ["'gpio.pump'", "does not have"]),
        (entry("a", "launch($1)"), ["calls launch()"]),
        (entry("a", 'matches($1, "(")', "log"), ["rule 'a'"]),
        (entry("a", 'avg($1, rolling("365d")) > 5'), ["rule 'a'"]),
        (entry("a", "(" * 1_000 + "$1" + ")" * 1_000), ["rule 'a'"]),
    ],
)
def test_an_expression_that_does_not_fit_refuses_the_list(
    catalog, asset_id, registration, wrong, said
):
    """The message names the rule, the position, the channel and its type."""
    with pytest.raises(InvalidArgumentError) as caught:
        registration.update_json(asset_id, text_of(entry("fine"), wrong))
    for part in ("asset 'rover'", *said):
        assert part in str(caught.value)
    assert "'fine'" not in str(caught.value)
    assert catalog.rules.view_json(asset_id) == "[]"


def test_all_that_is_wrong_is_told_up_to_a_limit(asset_id, registration):
    """Twenty errors, and how many more there are."""
    text = text_of(*[entry(f"r{number}", "$1 >") for number in range(25)])
    with pytest.raises(InvalidArgumentError) as caught:
        registration.update_json(asset_id, text)
    assert "rule 'r19'" in str(caught.value)
    assert "rule 'r20'" not in str(caught.value)
    assert "and 5 more" in str(caught.value)


@pytest.mark.parametrize(
    ("expression", "channel"),
    [
        ("$1 > 400", "wheel.speed"),
        ('$1 == "Driving" && temperature > 80', "state"),
        ('contains($1, "ERROR")', "log"),
        ('$1 in ["7", "Idle"]', "state"),
        ("$1 == 1", "gpio.heater"),
        ("gpio.heater == 1", "log"),
        ("persistence($1, 5)", "armed"),
        ("wheel.speed > 5", "log"),
    ],
)
def test_the_expressions_of_the_release_fit(asset_id, registration, expression, channel):
    """References, names in the text, and elements of bit fields."""
    result = registration.update_json(asset_id, text_of(entry("a", expression, channel)))
    assert result.created_count == 1


def test_of_channels_of_one_name_the_last_one_counts(catalog, asset_id, registration):
    """A channel is known by name and type; the rule is about the type that was described last."""
    later = FlowConfig("later", (ChannelConfig("temperature", DataType.STRING),))
    registration.update_json(asset_id, text_of(entry("a", "$1 > 5", "temperature")))
    catalog.ingestion_configs.create("rover", "rover-v2", [later])
    with pytest.raises(InvalidArgumentError, match="a string"):
        registration.update_json(asset_id, text_of(entry("a", "$1 > 5", "temperature")))
    registration.update_json(asset_id, text_of(entry("a", '$1 == "hot"', "temperature")))


def test_what_may_change_what_rules_mean_is_counted(catalog, asset_id, registration):
    """Rules, tags of assets, and channels; nothing else."""
    seen = [catalog.rules.changes]

    def grew() -> bool:
        seen.append(catalog.rules.changes)
        return seen[-1] > seen[-2]

    registration.update_json(asset_id, text_of(entry("a")))
    assert grew()
    (rule,) = catalog.rules.list(ListRequest()).items
    for change in (
        lambda: catalog.rules.set_archived([(rule.rule_id, "")], archived=True),
        lambda: catalog.rules.set_archived([(rule.rule_id, "")], archived=False),
        lambda: catalog.rules.set_deleted([(rule.rule_id, "")], deleted=True),
        lambda: catalog.assets.update(
            asset_id, lambda asset: replace(asset, attributes=Attributes(("red",)))
        ),
        lambda: catalog.ingestion_configs.create(
            "rover",
            "v2",
            [
                FlowConfig(
                    "f", (ChannelConfig("state", DataType.ENUM, enum_types=(EnumType("A", 0),)),)
                )
            ],
        ),
    ):
        change()
        assert grew()
    catalog.rules.view_json(asset_id)
    catalog.rules.set_deleted([(rule.rule_id, "")], deleted=True)
    catalog.assets.update(asset_id, lambda asset: replace(asset, archived_ns=5))
    assert not grew()


def test_an_asset_has_a_limit_of_rules(monkeypatch, catalog, asset_id, registration):
    """Those in JSON and others together; what a list no longer has makes room."""
    monkeypatch.setattr(rule_writing, "RULES_PER_ASSET_MAX", 3)
    registration.update_json(asset_id, text_of(entry("a"), entry("b"), entry("c")))
    registration.update_json(asset_id, text_of(entry("c"), entry("d"), entry("e")))
    (content, *_) = [rule.content for rule in catalog.rules.list(ListRequest()).items]
    with pytest.raises(ResourceExhaustedError, match="would have 4 rules; the limit is 3"):
        registration.create(RuleDraft(content))
    registration.update_json(asset_id, text_of(entry("e")))
    registration.create(RuleDraft(content))


@pytest.mark.slow
def test_a_thousand_rules_take_two_seconds_at_most(asset_id, registration):
    """And again, when nothing changed."""
    text = text_of(
        *[
            entry(f"r{number}", f'$1 > {number} && state == "Driving"', tags=["a", "b"])
            for number in range(1_000)
        ]
    )
    for created in (1_000, 0):
        start_s = time.process_time()
        assert registration.update_json(asset_id, text).created_count == created
        assert time.process_time() - start_s < 2
