"""`rules.v1`: what clients of all versions ask of rules, and get back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sift.annotations.v1 import annotations_pb2
from sift.metadata.v1 import metadata_pb2
from sift.rules.v1 import rules_pb2
from sift.tags.v2 import tags_pb2
from sift.users.v2 import users_pb2
from sift_server.api.services import rules, tags, users
from sift_server.catalog import Attributes, RunDraft
from sift_server.errors import AlreadyExistsError, InvalidArgumentError, NotFoundError
from sift_server.rules import CatalogBook, RuleEvaluation, RunReports
from support.catalogs import flow_of

if TYPE_CHECKING:
    from sift_server.api.services.rules import RuleService

REVIEW = annotations_pb2.ANNOTATION_TYPE_DATA_REVIEW
TEAM = metadata_pb2.MetadataValue(key=metadata_pb2.MetadataKey(name="team"), string_value="drive")


@pytest.fixture
def asset_id(catalog) -> str:
    """An asset with two channels of numbers."""
    return catalog.ingestion_configs.create(
        "rover", "rover-v1", [flow_of("f", "speed", "torque")]
    ).asset_id


@pytest.fixture
def service(catalog) -> RuleService:
    """The service."""
    evaluation = RuleEvaluation(catalog, CatalogBook(catalog, None))
    return rules.RuleService(catalog, RunReports(catalog, evaluation))


def expression_of(text: str, **channels: str) -> rules_pb2.RuleConditionExpression:
    references = {
        f"${name[1:]}": rules_pb2.ChannelReference(name=channel)
        for name, channel in channels.items()
    }
    return rules_pb2.RuleConditionExpression(
        calculated_channel=rules_pb2.CalculatedChannelConfig(
            channel_references=references, expression=text
        )
    )


def comparison_of(comparator: int, **threshold) -> rules_pb2.RuleConditionExpression:
    return rules_pb2.RuleConditionExpression(
        single_channel_comparison=rules_pb2.SingleChannelComparisonExpression(
            channel_name="speed", comparator=comparator, **threshold
        )
    )


def action_of(**annotation) -> rules_pb2.UpdateActionRequest:
    return rules_pb2.UpdateActionRequest(
        action_type=rules_pb2.ANNOTATION,
        configuration=rules_pb2.RuleActionConfiguration(
            annotation=rules_pb2.AnnotationActionConfiguration(
                **{"annotation_type": REVIEW, **annotation}
            )
        ),
    )


def condition_of(
    expression: rules_pb2.RuleConditionExpression | None = None, **more
) -> rules_pb2.UpdateConditionRequest:
    if expression is None:
        expression = expression_of("$1 > 5", _1="speed")
    return rules_pb2.UpdateConditionRequest(
        expression=expression, **{"actions": [action_of()], **more}
    )


def update_of(asset_id: str, name: str = "fast", **more) -> rules_pb2.UpdateRuleRequest:
    return rules_pb2.UpdateRuleRequest(
        **{
            "name": name,
            "asset_configuration": rules_pb2.RuleAssetConfiguration(asset_ids=[asset_id]),
            "conditions": [condition_of()],
            "is_live_evaluation_enabled": True,
            **more,
        }
    )


def create(service: RuleService, update: rules_pb2.UpdateRuleRequest) -> rules_pb2.Rule:
    rule_id = service.create_rule(rules_pb2.CreateRuleRequest(update=update)).rule_id
    return get(service, rule_id)


def get(service: RuleService, rule_id: str = "", client_key: str = "") -> rules_pb2.Rule:
    request = rules_pb2.GetRuleRequest(rule_id=rule_id, client_key=client_key)
    return service.get_rule(request).rule


def listed(service: RuleService, filter_: str = "", order_by: str = "name") -> list[str]:
    request = rules_pb2.ListRulesRequest(filter=filter_, order_by=order_by)
    return [rule.name for rule in service.list_rules(request).rules]


def test_a_rule_comes_back_as_it_was_made(catalog, service, asset_id):
    """Every field that a client sends, and those that the server adds."""
    tag_id = catalog.tags.create("motor").tag_id
    owner_id = catalog.users.owner().user_id
    rule = create(
        service,
        update_of(
            asset_id,
            description="Too fast",
            client_key="fast-1",
            organization_id="org",
            version_notes="first",
            is_enabled=True,
            conditions=[
                condition_of(
                    expression_of("$1 > $2", _1="speed", _2="torque"),
                    actions=[action_of(tag_ids=[tag_id], assigned_to_user_id=owner_id)],
                )
            ],
            contextual_channels=rules_pb2.ContextualChannels(
                channels=[rules_pb2.ChannelReference(name="torque")]
            ),
        ),
    )
    assert (rule.name, rule.description, rule.client_key) == ("fast", "Too fast", "fast-1")
    assert (rule.asset_id, list(rule.asset_configuration.asset_ids)) == (asset_id, [asset_id])
    assert (rule.is_enabled, rule.is_live_evaluation_enabled) == (True, True)
    assert (rule.organization_id, rule.created_by_user_id) == ("org", owner_id)
    assert rule.contextual_channels.channels[0].name == "torque"
    (condition,) = rule.conditions
    calculated = condition.expression.calculated_channel
    assert calculated.expression == "$1 > $2"
    assert {key: one.name for key, one in calculated.channel_references.items()} == {
        "$1": "speed", "$2": "torque",
    }  # fmt: skip
    (action,) = condition.actions
    annotation = action.configuration.annotation
    assert (list(annotation.tag_ids), annotation.annotation_type) == ([tag_id], REVIEW)
    assert annotation.assigned_to_user_id == owner_id
    assert (condition.rule_id, action.rule_condition_id) == (
        rule.rule_id, condition.rule_condition_id,
    )  # fmt: skip
    version = rule.rule_version
    assert (version.version, version.version_notes) == ("1", "first")
    assert version.generated_change_message == "Created"
    assert rule.current_version_id == version.rule_version_id
    assert get(service, client_key="fast-1") == rule
    (live,) = catalog.rules.live()
    assert (live.action.tags, live.action.assigned_to_user_id) == (("motor",), owner_id)


def test_an_update_makes_a_version_and_keeps_ids(service, asset_id):
    """Of the condition and the action; the old version stays readable."""
    first = create(service, update_of(asset_id))
    service.update_rule(
        update_of(
            asset_id,
            "faster",
            rule_id=first.rule_id,
            conditions=[condition_of(expression_of("$1 > 9", _1="speed"))],
            version_notes="louder",
        )
    )
    second = get(service, first.rule_id)
    assert (second.name, second.rule_version.version) == ("faster", "2")
    assert second.rule_version.generated_change_message == "Changed the name, the conditions"
    old, new = first.conditions[0], second.conditions[0]
    assert old.rule_condition_id == new.rule_condition_id
    assert old.rule_condition_version_id != new.rule_condition_version_id
    assert old.actions[0].rule_action_id == new.actions[0].rule_action_id
    assert new.created_date == old.created_date
    versions = service.list_rule_versions(
        rules_pb2.ListRuleVersionsRequest(rule_id=first.rule_id)
    ).rule_versions
    assert [one.version for one in versions] == ["2", "1"]
    found = service.list_rule_versions(
        rules_pb2.ListRuleVersionsRequest(
            rule_id=first.rule_id, filter="user_notes.contains('loud')"
        )
    ).rule_versions
    assert [one.version for one in found] == ["2"]
    before = service.get_rule_version(
        rules_pb2.GetRuleVersionRequest(rule_version_id=versions[1].rule_version_id)
    ).rule
    assert (before.name, before.rule_version, before.conditions[0]) == (
        "fast", first.rule_version, old,
    )  # fmt: skip
    assert before.current_version_id == second.current_version_id
    both = service.batch_get_rule_versions(
        rules_pb2.BatchGetRuleVersionsRequest(
            rule_version_ids=[one.rule_version_id for one in versions]
        )
    ).rules
    assert list(both) == [second, before]


def test_an_update_that_says_the_same_makes_no_version(service, asset_id):
    """A program that declares its rules with every start makes one version."""
    first = create(service, update_of(asset_id, client_key="k"))
    service.update_rule(update_of(asset_id, client_key="k", rule_id=first.rule_id))
    service.update_rule(update_of(asset_id, client_key="k"))
    assert get(service, first.rule_id) == first


def test_conditions_are_matched_by_their_ids(service, asset_id):
    """In any order; those without an id by their place; an unknown id is refused."""
    first = create(
        service,
        update_of(
            asset_id,
            conditions=[condition_of(expression_of(f"$1 > {one}", _1="speed")) for one in (1, 2)],
        ),
    )
    one, two = (condition.rule_condition_id for condition in first.conditions)

    def update(*conditions: rules_pb2.UpdateConditionRequest) -> list[str]:
        service.update_rule(update_of(asset_id, rule_id=first.rule_id, conditions=conditions))
        return [each.rule_condition_id for each in get(service, first.rule_id).conditions]

    moved, new = update(condition_of(rule_condition_id=two), condition_of())
    assert (moved, new in (one, two)) == (two, False)
    assert update(condition_of(rule_condition_id=two)) == [two]
    with pytest.raises(NotFoundError, match="no condition with the id 'other'"):
        update(condition_of(comparison_of(1, double=1), rule_condition_id="other"))


@pytest.mark.parametrize(
    ("expression", "meant"),
    [
        (comparison_of(rules_pb2.GREATER_THAN, double=400), "$1 > 400"),
        (comparison_of(rules_pb2.LESS_THAN_OR_EQUAL, double=-0.5), "$1 <= -0.5"),
        (comparison_of(rules_pb2.NOT_EQUAL, double=1e300), "$1 != 1e+300"),
        (
            comparison_of(rules_pb2.EQUAL, last_value=rules_pb2.LastValueThreshold()),
            "$1 == prev($1)",
        ),
    ],
)
def test_a_comparison_of_one_channel_is_an_expression(
    catalog, service, asset_id, expression, meant
):
    """And comes back in the form that it had."""
    rule = create(service, update_of(asset_id, conditions=[condition_of(expression)]))
    (live,) = catalog.rules.live()
    assert (live.expression, live.references) == (meant, {"$1": "speed"})
    assert rule.conditions[0].expression == expression
    service.update_rule(
        update_of(asset_id, rule_id=rule.rule_id, conditions=[condition_of(expression)])
    )
    assert get(service, rule.rule_id) == rule


@pytest.mark.parametrize(
    ("says", "is_live"),
    [
        ({"is_live_evaluation_enabled": True}, True),
        ({"is_live_evaluation_enabled": False, "is_enabled": True}, False),
        ({"is_live_evaluation_enabled": None, "is_enabled": True}, True),
        ({"is_live_evaluation_enabled": None, "is_enabled": False}, False),
    ],
)
def test_what_is_live_is_what_the_client_calls_it(catalog, service, asset_id, says, is_live):
    """Clients of the first releases say `is_enabled`; where the later word is there, it counts."""
    rule = create(service, update_of(asset_id, **says))
    assert rule.is_live_evaluation_enabled == is_live
    assert bool(catalog.rules.live()) == is_live


def test_a_client_key_is_unique_and_stays(service, asset_id):
    """Also that of a rule that was deleted, which an update brings back."""
    rule = create(service, update_of(asset_id, client_key="k"))
    with pytest.raises(AlreadyExistsError, match="'k'"):
        create(service, update_of(asset_id, client_key="k"))
    with pytest.raises(InvalidArgumentError, match="can't become 'other'"):
        service.update_rule(update_of(asset_id, rule_id=rule.rule_id, client_key="other"))
    service.delete_rule(rules_pb2.DeleteRuleRequest(client_key="k"))
    with pytest.raises(AlreadyExistsError):
        create(service, update_of(asset_id, client_key="k"))
    assert get(service, client_key="k").HasField("deleted_date")
    service.update_rule(update_of(asset_id, client_key="k"))
    back = get(service, client_key="k")
    assert (back.rule_id, back.HasField("deleted_date")) == (rule.rule_id, False)


@pytest.mark.parametrize("verb", ["get", "archive", "unarchive", "delete", "undelete", "update"])
def test_a_rule_is_named_by_its_id_or_its_client_key(service, verb):
    """One of both is needed."""
    request = getattr(rules_pb2, f"{verb.title()}RuleRequest")()
    with pytest.raises(InvalidArgumentError, match="which rule; give its id, or its client key"):
        getattr(service, f"{verb}_rule")(request)


def test_rules_are_archived_deleted_and_brought_back(catalog, service, asset_id):
    """One or many, by id or key; neither is live, and deleted ones are listed if asked for."""
    a = create(service, update_of(asset_id, "a", client_key="ka"))
    b = create(service, update_of(asset_id, "b"))
    both = {"rule_ids": [b.rule_id], "client_keys": ["ka"]}
    service.archive_rule(rules_pb2.ArchiveRuleRequest(rule_id=a.rule_id))
    assert listed(service, "is_archived") == ["a"]
    assert [one.name for one in catalog.rules.live()] == ["b"]
    service.batch_archive_rules(rules_pb2.BatchArchiveRulesRequest(**both))
    assert (listed(service), catalog.rules.live()) == (["a", "b"], [])
    service.unarchive_rule(rules_pb2.UnarchiveRuleRequest(client_key="ka"))
    catalog.rules.log_position = lambda: 12
    service.batch_unarchive_rules(rules_pb2.BatchUnarchiveRulesRequest(**both))
    assert [one.live_from_position for one in catalog.rules.live()] == [0, 12]
    service.delete_rule(rules_pb2.DeleteRuleRequest(rule_id=b.rule_id))
    assert listed(service) == ["a"]
    assert listed(service, "deleted_date > timestamp('2020-01-01T00:00:00Z')") == ["b"]
    service.batch_delete_rules(rules_pb2.BatchDeleteRulesRequest(**both))
    assert listed(service) == []
    service.undelete_rule(rules_pb2.UndeleteRuleRequest(client_key="ka"))
    service.batch_undelete_rules(rules_pb2.BatchUndeleteRulesRequest(**both))
    assert listed(service) == ["a", "b"]
    with pytest.raises(NotFoundError, match="'nowhere'"):
        service.batch_delete_rules(
            rules_pb2.BatchDeleteRulesRequest(rule_ids=[a.rule_id, "nowhere"])
        )
    assert listed(service) == ["a", "b"]
    rules_found = service.batch_get_rules(rules_pb2.BatchGetRulesRequest(**both)).rules
    assert [one.name for one in rules_found] == ["b", "a"]


def test_an_expression_that_does_not_fit_refuses_the_rule(catalog, service, asset_id):
    """On any of its assets, also those that it is about by a tag."""
    update = update_of(asset_id, conditions=[condition_of(expression_of("$1 > 5", _1="height"))])
    with pytest.raises(InvalidArgumentError, match=r"does not fit the asset 'rover': .*height"):
        create(service, update)
    other = catalog.ingestion_configs.create("pod", "pod-v1", [flow_of("f", "height")])
    tag_id = catalog.tags.create("flies").tag_id
    tagged = rules_pb2.RuleAssetConfiguration(tag_ids=[tag_id])
    update.asset_configuration.CopyFrom(tagged)
    rule = create(service, update)
    (live,) = catalog.rules.live()
    assert live.asset_ids == ()
    for asset in (other.asset_id, asset_id):
        catalog.assets.update(asset, _with_tag)
    (live,) = catalog.rules.live()
    assert set(live.asset_ids) == {other.asset_id, asset_id}
    with pytest.raises(InvalidArgumentError, match="'rover'"):
        service.update_rule(
            update_of(
                asset_id, "x", rule_id=rule.rule_id,
                asset_configuration=tagged, conditions=update.conditions,
            )
        )  # fmt: skip


def _with_tag(asset):
    return replace(asset, attributes=Attributes(("flies",)))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": " "}, "needs a name"),
        ({"name": "x" * 1_001}, "the limit is 1,000"),
        ({"description": "x" * 10_001}, "the limit is 10,000"),
        ({"conditions": [condition_of()] * 101}, "has 101 conditions"),
        ({"conditions": [condition_of(actions=[action_of()] * 11)]}, "11 actions"),
        (
            {"conditions": [condition_of(actions=[action_of(metadata=[TEAM, TEAM])])]},
            "the metadata key 'team' twice",
        ),
        ({"metadata": [TEAM, TEAM]}, "the metadata key 'team' twice"),
        ({"conditions": []}, "no condition"),
        ({"conditions": [rules_pb2.UpdateConditionRequest()]}, "without an expression"),
        ({"conditions": [condition_of(comparison_of(0, double=5))]}, "without a comparator"),
        ({"conditions": [condition_of(comparison_of(5))]}, "without a threshold"),
        ({"conditions": [condition_of(comparison_of(1, double=float("nan")))]}, "nan"),
        (
            {"conditions": [condition_of(actions=[rules_pb2.UpdateActionRequest()])]},
            "without a configuration",
        ),
        ({"conditions": [condition_of(actions=[action_of(), action_of()])]}, "one is enough"),
    ],
)
def test_a_request_that_makes_no_rule_is_refused(service, asset_id, wrong, said):
    """INVALID_ARGUMENT, and a sentence that says what is missing."""
    with pytest.raises(InvalidArgumentError, match=said):
        create(service, update_of(asset_id, **wrong))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"conditions": [condition_of(actions=[action_of(tag_ids=["t"])])]}, "no tag .* 't'"),
        (
            {"conditions": [condition_of(actions=[action_of(assigned_to_user_id="u")])]},
            "no user .* 'u'",
        ),
        (
            {"asset_configuration": rules_pb2.RuleAssetConfiguration(asset_ids=["a"])},
            "no asset .* 'a'",
        ),
    ],
)
def test_what_a_rule_names_has_to_be_there(service, asset_id, wrong, said):
    """Tags, users and assets are named by id."""
    with pytest.raises(NotFoundError, match=said):
        create(service, update_of(asset_id, **wrong))


class TestBatch:
    """`BatchUpdateRules`: all, or none."""

    def batch(self, service, *updates, **options) -> rules_pb2.BatchUpdateRulesResponse:
        return service.batch_update_rules(
            rules_pb2.BatchUpdateRulesRequest(rules=updates, **options)
        )

    def test_it_creates_and_updates(self, service, asset_id):
        """New ones are told by name and key."""
        old = create(service, update_of(asset_id, "old"))
        response = self.batch(
            service,
            update_of(asset_id, "older", rule_id=old.rule_id),
            update_of(asset_id, "new", client_key="k"),
        )
        assert response.success
        assert (response.rules_created_count, response.rules_updated_count) == (1, 1)
        (made,) = response.created_rule_identifiers
        assert (made.name, made.client_key) == ("new", "k")
        assert get(service, made.rule_id).name == "new"
        assert get(service, old.rule_id).name == "older"

    def test_one_that_does_not_fit_refuses_all(self, service, asset_id):
        """Its asset and the error are told; unless the check is to be overridden."""
        wrong = update_of(
            asset_id, "wrong", conditions=[condition_of(expression_of("$1 > 5", _1="height"))]
        )
        response = self.batch(service, update_of(asset_id, "fine"), wrong)
        assert not response.success
        (result,) = response.validation_results
        assert result.rule_name == "wrong"
        (problem,) = result.asset_expression_validation_results
        assert (problem.asset_id, problem.asset_name) == (asset_id, "rover")
        assert "height" in problem.error
        assert listed(service) == []
        response = self.batch(
            service, update_of(asset_id, "fine"), wrong, override_expression_validation=True
        )
        assert response.success
        assert listed(service) == ["fine", "wrong"]

    def test_it_can_only_look(self, service, asset_id):
        """Counts what would be."""
        response = self.batch(service, update_of(asset_id, "a"), validate_only=True)
        assert (response.success, response.validate_only) == (True, True)
        assert response.rules_created_count == 1
        assert listed(service) == []

    def test_it_is_limited(self, service, asset_id):
        """A thousand rules."""
        with pytest.raises(InvalidArgumentError, match="may have 1,000"):
            self.batch(service, *[update_of(asset_id, str(one)) for one in range(1_001)])

    def test_a_rule_is_there_once(self, service, asset_id):
        """By id and by key are the same rule."""
        rule = create(service, update_of(asset_id, client_key="k"))
        with pytest.raises(InvalidArgumentError, match="2 times"):
            self.batch(
                service,
                update_of(asset_id, rule_id=rule.rule_id),
                update_of(asset_id, "x", client_key="k"),
            )

    def test_a_client_key_is_there_once(self, service, asset_id):
        """Also of rules that are not there yet."""
        with pytest.raises(InvalidArgumentError, match="'k' is there 2 times"):
            self.batch(service, *[update_of(asset_id, name, client_key="k") for name in "ab"])


@pytest.mark.parametrize(
    ("filter_", "names"),
    [
        ("name == 'a'", ["a"]),
        ("client_key in ['ka', 'kb']", ["a"]),
        ("is_external == true", ["b"]),
        ("is_live_evaluation_enabled == false", ["b"]),
        ("is_archived == false && description.contains('slow')", ["b"]),
        ("asset_id in ['nowhere']", []),
        ('metadata["team"] == "drive"', ["a"]),
        ("modified_date > timestamp('2030-01-01T00:00:00Z')", []),
    ],
)
def test_lists_are_filtered(service, asset_id, filter_, names):
    """By every field that rules have."""
    create(service, update_of(asset_id, "a", client_key="ka", metadata=[TEAM]))
    create(
        service,
        update_of(
            asset_id, "b", is_external=True, description="too slow",
            is_live_evaluation_enabled=False,
        ),
    )  # fmt: skip
    assert listed(service, filter_) == names


def test_the_json_pair_answers_in_its_own_words(service, asset_id):
    """Success and counts, or the reason: a list that is refused is no error of the call."""
    view = rules_pb2.ViewJsonRulesRequest(asset_id=asset_id)
    assert service.view_json_rules(view).rules_json == "[]"
    text = '[{"name": "a",  "expression": "speed > 1"}]'

    def request(text: str) -> rules_pb2.JsonRulesRequest:
        return rules_pb2.JsonRulesRequest(asset_id=asset_id, rules_json=text)

    def update(text: str) -> rules_pb2.JsonRulesResponse:
        return service.update_json_rules(
            rules_pb2.UpdateJsonRulesRequest(request=request(text))
        ).response

    tried = service.validate_json_rules(
        rules_pb2.ValidateJsonRulesRequest(request=request(text))
    ).response
    assert (tried.success, tried.rules_created_count) == (True, 1)
    assert listed(service) == []
    stored = update(text)
    assert (stored.success, stored.total_rules_count, stored.rules_created_count) == (True, 1, 1)
    assert not stored.HasField("error_messages")
    refused = update('[{"name": "a", "expression": "height > 1"}]')
    assert not refused.success
    assert "rule 'a'" in refused.error_messages
    assert service.view_json_rules(view).rules_json == text
    with pytest.raises(NotFoundError):
        service.view_json_rules(rules_pb2.ViewJsonRulesRequest(asset_id="none"))
    same = service.view_human_friendly_rules(
        rules_pb2.ViewHumanFriendlyRulesRequest(asset_id=asset_id)
    )
    assert same.rules_json == text
    friendly = service.update_human_friendly_rules(
        rules_pb2.UpdateHumanFriendlyRulesRequest(asset_id=asset_id, rules_json="{}")
    )
    assert (friendly.success, "not an array" in friendly.messages) == (False, True)


def test_tags_are_made_once_by_name(catalog, asset_id):
    """Whatever is tagged makes a tag; a type lists those that are on it, or on nothing yet."""
    service = tags.TagService(catalog)
    made = service.create_tag(tags_pb2.CreateTagRequest(name="free")).tag
    assert service.create_tag(tags_pb2.CreateTagRequest(name="free")).tag == made
    catalog.assets.update(
        asset_id, lambda asset: replace(asset, attributes=Attributes(("red", "free")))
    )
    catalog.runs.create(RunDraft("run", attributes=Attributes(("night", "red"))))
    catalog.tags.create("unused")

    def names(tag_type: int, filter_: str = "") -> list[str]:
        request = tags_pb2.ListTagsRequest(tag_type=tag_type, filter=filter_)
        return [tag.name for tag in service.list_tags(request).tags]

    assert names(tags_pb2.TAG_TYPE_UNSPECIFIED) == ["free", "red", "night", "unused"]
    assert names(tags_pb2.TAG_TYPE_ASSET) == ["free", "red", "unused"]
    assert names(tags_pb2.TAG_TYPE_RUN) == ["red", "night", "unused"]
    assert names(tags_pb2.TAG_TYPE_ANNOTATION) == ["unused"]
    assert names(tags_pb2.TAG_TYPE_RUN, "name in ['red']") == ["red"]
    with pytest.raises(InvalidArgumentError, match="not blank"):
        service.create_tag(tags_pb2.CreateTagRequest(name=" "))


def test_the_owner_is_a_user(catalog):
    """With an id that stays, and all others beside it."""
    service = users.UserService(catalog)
    (owner,) = service.list_active_users(users_pb2.ListActiveUsersRequest()).users
    assert owner.user_name
    assert service.get_user(users_pb2.GetUserRequest(user_id=owner.user_id)).user == owner
    assert list(service.list_users(users_pb2.ListUsersRequest()).users) == [owner]
    by_name = users_pb2.ListActiveUsersRequest(filter=f"name=='{owner.user_name}'")
    assert list(service.list_active_users(by_name).users) == [owner]
    with pytest.raises(NotFoundError, match="'nobody'"):
        service.get_user(users_pb2.GetUserRequest(user_id="nobody"))


def searched(service: RuleService, **wanted) -> tuple[int, list[str]]:
    """How many there are, and the names of those that came."""
    answer = service.search_rules(rules_pb2.SearchRulesRequest(**wanted))
    return answer.count, [rule.name for rule in answer.rules]


def test_rules_are_searched_by_their_names(catalog, service, asset_id):
    """As clients did before there were lists with filters; the newest first."""
    tag_id = catalog.tags.create("red").tag_id
    by_tag = rules_pb2.RuleAssetConfiguration(tag_ids=[tag_id])
    fast = create(service, update_of(asset_id, "fast"))
    create(service, update_of(asset_id, "Fast.er"))
    slow = create(service, update_of(asset_id, "slow", asset_configuration=by_tag))
    assert searched(service) == (3, ["slow", "Fast.er", "fast"])
    assert searched(service, name_matches="fast") == (2, ["Fast.er", "fast"])
    assert searched(service, name_matches="fast", case_sensitive=True) == (1, ["fast"])
    assert searched(service, name_matches="t.e") == (1, ["Fast.er"])
    assert searched(service, name_matches="^.l|r$", regexp=True) == (2, ["slow", "Fast.er"])
    ascending = rules_pb2.SEARCH_ORDER_ASC
    assert searched(service, order=ascending) == (3, ["fast", "Fast.er", "slow"])
    assert searched(service, order=ascending, order_by="name", limit=1, offset=1) == (3, ["fast"])
    assert searched(service, rule_ids=[fast.rule_id, "x"]) == (1, ["fast"])
    assert searched(service, asset_ids=[asset_id]) == (2, ["Fast.er", "fast"])
    for tags_ in ({"ids": {"ids": [tag_id]}}, {"names": {"names": ["red"]}}):
        assert searched(service, asset_tags=tags_) == (1, ["slow"])
    service.delete_rule(rules_pb2.DeleteRuleRequest(rule_id=slow.rule_id))
    assert searched(service, name_matches="slow") == (0, [])
    assert searched(service, name_matches="slow", include_deleted=True) == (1, ["slow"])


def test_a_search_that_is_none_is_refused(service):
    """It says what is wrong."""
    for wanted, message in (
        ({"name_matches": "(", "regexp": True}, r"can't be searched for: missing"),
        ({"name_matches": "a" * 1_001}, r"has 1,001 characters; the limit is 1,000"),
        ({"order_by": "size"}, r"names 'size'; found rules are ordered by name, created_date"),
        ({"rule_ids": ["x"] * 10_001}, r"10,001 ids and names; the limit is 10,000"),
    ):
        with pytest.raises(InvalidArgumentError, match=message):
            searched(service, **wanted)


def test_an_evaluation_of_nothing_is_refused(service, asset_id):
    """In the older form: rules and a time are needed."""
    rule = create(service, update_of(asset_id))
    for request, message in (
        ({"run_id": "x"}, "name the rules"),
        ({"rule_ids": [rule.rule_id]}, "say what to evaluate the rules on"),
    ):
        with pytest.raises(InvalidArgumentError, match=message):
            service.evaluate_rules(rules_pb2.EvaluateRulesRequest(**request))
    for request in (
        {"rule_ids": ["x"], "run_id": "y"},
        {"rule_ids": [rule.rule_id], "run_id": "y"},
    ):
        with pytest.raises(NotFoundError):
            service.evaluate_rules(rules_pb2.EvaluateRulesRequest(**request))
