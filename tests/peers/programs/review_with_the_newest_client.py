"""Keeps rules, tags and annotations with `sift_client`, as somebody does who reviews a test.

    python review_with_the_newest_client.py HOST:PORT API_KEY ASSET

It checks what it gets back as it goes, and prints the expressions of all versions of its rule.
"""

import json
import re
import sys
from datetime import UTC, datetime, timedelta

import grpc
from sift_client import SiftClient, SiftConnectionConfig
from sift_client.sift_types import (
    AnnotationCreate,
    AnnotationLogKind,
    AnnotationState,
    AnnotationType,
    AnnotationUpdate,
    AssetUpdate,
    ChannelReference,
    PhaseCreate,
    RuleAction,
    RuleAnnotationType,
    RuleCreate,
    RuleUpdate,
    RunCreate,
    RunUpdate,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)

uri, key, asset_name = sys.argv[1:]
client = SiftClient(
    connection_config=SiftConnectionConfig(
        grpc_url=uri, rest_url="http://%s" % uri, api_key=key, use_ssl=False
    )
)


def names(found):
    return sorted(one.name for one in found)


assert isinstance(client.ping.ping(), str)


def refusal_of(call, error_type):
    """What a call is refused with."""
    try:
        call()
    except error_type as error:
        return str(error)
    raise AssertionError("it is not refused")


# Assets, their channels, tags, users.
asset = client.assets.find(name=asset_name)
assert client.assets.get(asset_id=asset.id_).name == asset_name
asset = client.assets.update(asset, AssetUpdate(tags=["lab"], metadata={"site": "north", "n": 2.0}))
assert (asset.tags, asset.metadata) == (["lab"], {"site": "north", "n": 2.0})
assert names(client.assets.list_(tags=["lab"], name_regex="^%s$" % asset_name)) == [asset_name]
assert client.assets.archive(asset).is_archived
assert client.assets.list_() == []
assert names(client.assets.list_(include_archived=True)) == [asset_name]
assert not client.assets.unarchive(asset).is_archived
temperature = client.channels.find(name="temperature", assets=[asset])
assert temperature.unit == "degC"
tags = client.tags.find_or_create(["thermal", "drive"])
assert names(client.tags.find_or_create(["drive", "thermal"])) == ["drive", "thermal"]
assert client.tags.create("thermal").id_ in {tag.id_ for tag in tags}
assert names(client.tags.list_(name_contains="erma")) == ["thermal"]
(user,) = client.users.list_()
assert client.users.get(user_id=user.id_).name == user.name
assert client.users.resolve_ids([user.name]) == {user.name: user.id_}

# Rules.
reference = [ChannelReference(channel_reference="$1", channel_identifier="temperature")]
review = RuleAction.annotation(
    RuleAnnotationType.DATA_REVIEW, tags=tags, default_assignee_user=user.id_
)


def draft(name, expression="$1 > 80", **more):
    return RuleCreate(
        name=name,
        description="It is %s." % name,
        expression=expression,
        channel_references=reference,
        action=review,
        asset_ids=[asset.id_],
        **more,
    )


hot = client.rules.create(
    draft("hot", client_key="hot", contextual_channels=["state"], evaluate_on_live_data=True)
)
assert (hot.expression, hot.asset_ids, hot.client_key) == ("$1 > 80", [asset.id_], "hot")
assert (hot.contextual_channels, hot.evaluate_on_live_data) == (["state"], True)
assert hot.action.default_assignee_user == user.id_
assert set(hot.action.tags_ids) == {tag.id_ for tag in tags}
assert names(client.rules.create([draft("warm"), draft("cold", "$1 < 0")])) == ["cold", "warm"]
odd = draft("odd", '$1 == "hot"')
assert "temperature (a double) with a string" in refusal_of(
    lambda: client.rules.create(odd, override_expression_validation=False), ValueError
)
assert client.rules.get(client_key="hot").id_ == client.rules.find(name="hot").id_ == hot.id_
for asked, expected in [
    ({"names": ["hot", "warm"]}, ["hot", "warm"]),
    ({"name_regex": re.compile("^[hw]")}, ["hot", "warm"]),
    ({"rule_ids": [hot.id_]}, ["hot"]),
    ({"client_keys": ["hot"]}, ["hot"]),
    ({"created_after": START, "modified_by": user.id_}, ["cold", "hot", "warm"]),
    ({"assets": [asset], "description_contains": "is hot"}, ["hot"]),
    ({"page_size": 1}, ["cold", "hot", "warm"]),
]:
    assert names(client.rules.list_(**asked)) == expected, asked
hot = client.rules.update(
    hot, RuleUpdate(expression="$1 > 90", channel_references=reference), version_notes="too many"
)
hot = client.rules.update(hot, {"description": "Too hot."})
assert (hot.expression, hot.description, hot.client_key) == ("$1 > 90", "Too hot.", "hot")
assert hot.evaluate_on_live_data
versions = client.rules.list_rule_versions(hot)
assert [one.version for one in versions] == ["3", "2", "1"]
(second,) = client.rules.list_rule_versions(hot, user_notes_contains="too many")
assert client.rules.get_rule_version(second).expression == "$1 > 90"
assert client.rules.archive(hot).is_archived
assert names(client.rules.list_()) == ["cold", "warm"]
assert names(client.rules.list_(include_archived=True)) == ["cold", "hot", "warm"]
assert not client.rules.unarchive(hot).is_archived
change = RuleUpdate(description="Batched.")
change.resource_id = client.rules.find(name="cold").id_
(cold,) = client.rules.batch_update_or_create_rules([change])
assert (cold.description, cold.expression) == ("Batched.", "$1 < 0")

# Runs.
run = client.runs.create(
    RunCreate(name="flight", client_key="flight", start_time=START, stop_time=START + 60 * SECOND)
)
run = client.runs.update(run, RunUpdate(description="The first.", tags=["lab"]))
lab = client.tags.find(name="lab")
assert client.runs.get(client_key="flight").tags == ["lab"]
assert names(client.runs.list_(duration_greater_than=59 * SECOND, tags=[lab])) == ["flight"]
assert client.runs.archive(run).is_archived
assert not client.runs.unarchive(run).is_archived

# Annotations.
noise = client.annotations.create(
    AnnotationCreate(
        name="noise",
        description="odd",
        start_time=START,
        end_time=START + 5 * SECOND,
        assets=[asset],
        run=run,
        tags=["thermal", "drive"],
        metadata={"how": "loud", "n": 1.0},
        linked_channels=[temperature],
        assign_to_user=user,
    )
)
phase = client.annotations.create(
    PhaseCreate(name="climb", start_time=START, end_time=START + SECOND, assets=[asset])
)
assert (noise.state, noise.run_id, noise.assigned_to_user_id) == (
    AnnotationState.OPEN,
    run.id_,
    user.id_,
)
assert (noise.linked_channel_ids, noise.metadata["how"]) == ([temperature.id_], "loud")
assert (phase.annotation_type, phase.state) == (AnnotationType.PHASE, None)
for asked, expected in [
    ({}, ["climb", "noise"]),
    ({"name": ["noise"], "tags": ["drive"], "runs": [run]}, ["noise"]),
    ({"metadata": {"how": "loud"}}, ["noise"]),
    ({"annotation_type": AnnotationType.PHASE}, ["climb"]),
    ({"state": AnnotationState.OPEN, "assigned_to": user.id_, "pending": False}, ["noise"]),
    ({"assets": [asset], "end_time_before": START + 2 * SECOND}, ["climb"]),
    ({"rules": [hot]}, []),
]:
    assert names(client.annotations.list_(**asked)) == expected, asked
noise = client.annotations.update(
    noise, AnnotationUpdate(name="noise!", tags=["drive"], end_time=START + 9 * SECOND)
)
assert (noise.name, noise.tags, noise.end_time) == ("noise!", ["drive"], START + 9 * SECOND)
assert client.annotations.set_failed(noise).state == AnnotationState.FAILED
assert "is a phase" in refusal_of(lambda: client.annotations.set_failed(phase), grpc.RpcError)
client.annotations.logs.add_comment(noise, "seen")
(comment,) = client.annotations.logs.list_(annotation=noise, kind=AnnotationLogKind.COMMENT)
assert comment.comment[0].text == "seen"
assert len(client.annotations.logs.list_(annotation=noise, modified_after=START)) == 2
archived = client.annotations.batch_archive([noise, phase])
assert all(one.is_archived for one in archived)
assert client.annotations.list_() == []
assert not any(one.is_archived for one in client.annotations.batch_unarchive([noise, phase]))
expressions = [one.expression for one in client.rules.batch_get_rule_versions(versions)]
print(json.dumps(expressions))
