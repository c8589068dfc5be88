"""Calculated channels on a server: declared, changed, resolved, read, and named by others."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from sift.assets.v1 import assets_pb2, assets_pb2_grpc
from sift.calculated_channels.v2 import calculated_channels_pb2 as pb2
from sift.calculated_channels.v2 import calculated_channels_pb2_grpc as pb2_grpc
from sift.common.type.v1.channel_data_type_pb2 import ChannelDataType as Type
from sift.data.v2 import data_pb2, data_pb2_grpc
from sift.metadata.v1.metadata_pb2 import MetadataKey, MetadataValue
from sift.runs.v2 import runs_pb2, runs_pb2_grpc
from sift.tags.v2 import tags_pb2, tags_pb2_grpc
from sift_server.api.services.calculated_channels_v2 import (
    RESOLVED_AT_ONCE_MAX,
    CalculatedChannelService,
)
from sift_server.errors import InvalidArgumentError
from sift_server.expressions.scope import NESTING_MAX
from sift_server.server import Server, ServerSettings
from support.serving import plain_channel
from support.telemetry import channel_ids, create_config, ingest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sift.calculated_channels.v1 import calculated_channels_pb2 as v1

S = 10**9
DOUBLE, STRING = Type.CHANNEL_DATA_TYPE_DOUBLE, Type.CHANNEL_DATA_TYPE_STRING


class Rig:
    """A server with two rovers: one with all channels, one without a current."""

    def __init__(self, server: Server, channel: grpc.Channel) -> None:
        self.server = server
        self.channel = channel
        self.stub = pb2_grpc.CalculatedChannelServiceStub(channel)
        flow = {"motor.voltage": DOUBLE, "current": DOUBLE, "log": STRING}
        self.rover = create_config(channel, {"f": flow}, "rover", "rover")
        other = {"motor.voltage": DOUBLE, "log": STRING}
        self.lander = create_config(channel, {"f": other}, "lander", "lander")
        self.ids = channel_ids(channel, self.rover.asset_id)

    def create(self, name: str = "power", expression: str = "$1 * $2", **more: Any) -> Any:
        """Create a calculated channel; returns the response."""
        return self.stub.CreateCalculatedChannel(
            pb2.CreateCalculatedChannelRequest(
                name=name, **{"calculated_channel_configuration": config(expression), **more}
            )
        )

    def made(self, *args: str, **more: Any) -> pb2.CalculatedChannel:
        return self.create(*args, **more).calculated_channel

    def update(self, one: pb2.CalculatedChannel, *paths: str, **more: Any) -> Any:
        return self.stub.UpdateCalculatedChannel(
            pb2.UpdateCalculatedChannelRequest(
                calculated_channel=one, update_mask=FieldMask(paths=paths), **more
            )
        )

    def resolve(self, one: pb2.CalculatedChannel, *assets: str, **more: Any) -> Any:
        request = pb2.ResolveCalculatedChannelRequest(**more)
        request.identifier.id = one.calculated_channel_id
        request.assets.names.names.extend(assets)
        return self.stub.ResolveCalculatedChannel(request)

    def ingest(self, *rows: tuple[int, float, float, str], run_id: str = "") -> None:
        """Seconds and values of the rover's channels."""
        ingest(
            self.channel,
            [self.rover.row("f", at * S, values, run_id) for at, *values in rows],
        )

    def read(self, expression: v1.ExpressionRequest) -> list[tuple[float, Any]]:
        """Seconds and values of an expression."""
        asked = data_pb2.CalculatedChannelQuery(channel_key="k", expression=expression)
        answer = data_pb2_grpc.DataServiceStub(self.channel).GetData(
            data_pb2.GetDataRequest(queries=[data_pb2.Query(calculated_channel=asked)])
        )
        found = []
        for packed in answer.data:
            values = getattr(data_pb2, packed.type_url.rpartition(".")[2])()
            values.ParseFromString(packed.value)
            found += [(one.timestamp.ToNanoseconds() / S, one.value) for one in values.values]
        return found

    def rest(self, path: str, method: str = "GET", body: Any = None) -> Any:
        request = urllib.request.Request(
            f"http://{self.server.address}{path}",
            None if body is None else json.dumps(body).encode(),
            {
                "authorization": f"Bearer {self.server.api_key}",
                "content-type": "application/json",
            },
            method=method,
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())


def config(
    expression: str = "$1 * $2", references: Any = None, **selection: Any
) -> pb2.CalculatedChannelConfiguration:
    """A configuration; for all assets, if none are named."""
    if references is None:
        references = {"$1": "motor.voltage", "$2": "current"}
    scope = pb2.CalculatedChannelAssetConfiguration(all_assets=True)
    if selection:
        scope.selection.MergeFrom(
            pb2.CalculatedChannelAssetConfiguration.AssetSelection(**selection)
        )
    listed = [
        one
        if isinstance(one, pb2.CalculatedChannelAbstractChannelReference)
        else pb2.CalculatedChannelAbstractChannelReference(
            channel_reference=name, channel_identifier=one
        )
        for name, one in references.items()
    ]
    return pb2.CalculatedChannelConfiguration(
        asset_configuration=scope,
        query_configuration=pb2.CalculatedChannelQueryConfiguration(
            sel=pb2.CalculatedChannelQueryConfiguration.Sel(
                expression=expression, expression_channel_references=listed
            )
        ),
    )


def version_reference(name: str, version_id: str) -> Any:
    return pb2.CalculatedChannelAbstractChannelReference(
        channel_reference=name, calculated_channel_version_id=version_id
    )


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with (
        Server(ServerSettings(tmp_path / "telemetry", port=0)) as server,
        plain_channel(server.address, server.api_key) as channel,
    ):
        yield Rig(server, channel)


def test_one_comes_back_as_it_was_made(rig):
    """By id, client key, version and list, over gRPC and REST."""
    margin = MetadataValue(key=MetadataKey(name="margin"), number_value=1.5)
    response = rig.create(
        description="Of the motor.", user_notes="first", client_key="power-key", units="W",
        metadata=[margin],
    )  # fmt: skip
    made = response.calculated_channel
    assert (made.name, made.description, made.user_notes) == ("power", "Of the motor.", "first")
    assert (made.client_key, made.units, made.version, made.change_message) == (
        "power-key", "W", 1, "Created",
    )  # fmt: skip
    assert made.calculated_channel_configuration == config()
    assert [(one.key.name, one.number_value) for one in made.metadata] == [("margin", 1.5)]
    assert not made.is_archived
    # The lander has no current.
    (lander,) = response.inapplicable_assets
    assert (lander.asset_name, list(lander.missing_channels)) == ("lander", ["current"])
    get = pb2.GetCalculatedChannelRequest
    for request in (
        get(calculated_channel_id=made.calculated_channel_id),
        get(client_key="power-key"),
        get(calculated_channel_version_id=made.version_id),
    ):
        assert rig.stub.GetCalculatedChannel(request).calculated_channel == made
    listed = rig.stub.ListCalculatedChannels(
        pb2.ListCalculatedChannelsRequest(filter="units == 'W' && is_archived == false")
    )
    assert list(listed.calculated_channels) == [made]
    path = f"/api/v2/calculated-channels/{made.calculated_channel_id}"
    assert rig.rest(path)["calculatedChannel"]["name"] == "power"
    assert len(rig.rest("/api/v2/calculated-channels")["calculatedChannels"]) == 1
    versions = rig.rest(f"{path}/versions")["calculatedChannelVersions"]
    assert [one["version"] for one in versions] == [1]
    query = f"?calculated_channel_version_ids={made.version_id}"
    found = rig.rest(f"/api/v2/calculated-channels/versions{query}")
    assert found["calculatedChannels"][0]["name"] == "power"
    found = rig.rest(
        f"/api/v2/calculated-channels/dependents?calculated_channel_id={made.calculated_channel_id}"
    )
    assert not found.get("calculatedChannels")
    body = {"identifier": {"clientKey": "power-key"}, "assets": {"names": {"names": ["rover"]}}}
    found = rig.rest("/api/v2/calculated-channels/resolve", "POST", body)
    assert found["resolved"][0]["assetName"] == "rover"
    found = rig.rest("/api/v2/calculated-channels/resolve:batch", "POST", {"requests": [body]})
    assert len(found["responses"]) == 1
    asset = rig.rover.asset_id
    found = rig.rest(f"/api/v2/calculated-channels/resolved?asset_id={asset}")
    assert len(found["calculatedChannelResolutions"]) == 1


def test_an_update_changes_what_its_mask_names(rig):
    """Each change is a version; archiving is none; an empty mask stands for what is set."""
    first = rig.made(units="W", user_notes="first")
    wanted = pb2.CalculatedChannel(
        calculated_channel_id=first.calculated_channel_id, name="watts", units="kW"
    )
    second = rig.update(wanted, "name", user_notes="renamed").calculated_channel
    assert (second.name, second.units, second.version) == ("watts", "W", 2)
    assert (second.change_message, second.user_notes) == ("Changed the name", "renamed")
    wanted.is_archived = True
    archived = rig.update(wanted, "is_archived").calculated_channel
    assert archived.is_archived
    assert archived.HasField("archived_date")
    assert archived.version_id == second.version_id
    wanted.is_archived = False
    assert not rig.update(wanted, "is_archived").calculated_channel.is_archived
    both = rig.update(wanted).calculated_channel
    assert (both.units, both.version) == ("kW", 3)
    wanted.calculated_channel_configuration.CopyFrom(config("$1 * 2", {"$1": "motor.voltage"}))
    response = rig.update(wanted, "calculated_channel_configuration.query_configuration")
    assert not response.inapplicable_assets
    wanted.calculated_channel_configuration.CopyFrom(config("x", asset_ids=[rig.rover.asset_id]))
    fifth = rig.update(wanted, "calculated_channel_configuration.asset_configuration")
    configuration = fifth.calculated_channel.calculated_channel_configuration
    assert configuration.query_configuration.sel.expression == "$1 * 2"
    assert list(configuration.asset_configuration.selection.asset_ids) == [rig.rover.asset_id]
    assert fifth.calculated_channel.change_message == "Changed the assets"
    request = pb2.ListCalculatedChannelVersionsRequest(
        calculated_channel_id=first.calculated_channel_id
    )
    versions = rig.stub.ListCalculatedChannelVersions(request).calculated_channel_versions
    assert [one.version for one in versions] == [1, 2, 3, 4, 5]
    assert versions[0].name == "power"
    with pytest.raises(grpc.RpcError, match="the update mask has the path 'version'"):
        rig.update(wanted, "version")


@pytest.mark.parametrize(
    ("wrong", "code", "message"),
    [
        ({"expression": "$1 *"}, "INVALID_ARGUMENT", "at column 4"),
        ({"expression": "$1 * log"}, "INVALID_ARGUMENT", "'rover': .*at column 6, calculates"),
        ({"expression": "nope($1)"}, "INVALID_ARGUMENT", r"column 1, calls nope\(\)"),
        ({"name": ""}, "INVALID_ARGUMENT", "needs a name"),
        (
            {"calculated_channel_configuration": pb2.CalculatedChannelConfiguration()},
            "INVALID_ARGUMENT", "no expression",
        ),
        (
            {"calculated_channel_configuration": config(asset_ids=["none"])},
            "NOT_FOUND", "no asset with the id 'none'",
        ),
        (
            {"calculated_channel_configuration": config("$1", {"": version_reference("$1", "x")})},
            "INVALID_ARGUMENT", "no version of a calculated channel with the id 'x'",
        ),
    ],
)  # fmt: skip
def test_what_can_not_be_one_is_refused(rig, wrong, code, message):
    """With where the expression is wrong, and for which asset."""
    with pytest.raises(grpc.RpcError, match=message) as error:
        rig.create(**wrong)
    assert error.value.code() is getattr(grpc.StatusCode, code)
    assert not rig.stub.ListCalculatedChannels(
        pb2.ListCalculatedChannelsRequest()
    ).calculated_channels


def test_one_may_be_declared_before_there_are_channels(rig):
    """Assets that lack some are told; one whose types do not fit is, too, if others fit."""
    response = rig.create("later", "$1 + thrust", calculated_channel_configuration=config(
        "$1 + thrust", {"$1": "mass"}
    ))  # fmt: skip
    missing = {one.asset_name: list(one.missing_channels) for one in response.inapplicable_assets}
    assert missing == {"rover": ["mass", "thrust"], "lander": ["mass", "thrust"]}
    odd = {"f": {"mass": STRING, "thrust": DOUBLE}}
    create_config(rig.channel, odd, "odd", "odd")
    create_config(rig.channel, {"f": {"mass": DOUBLE, "thrust": DOUBLE}}, "rocket", "rocket")
    later = response.calculated_channel
    found = rig.resolve(later)
    assert [one.asset_name for one in found.resolved] == ["rocket"]
    errors = {one.asset_name: one.error_message for one in found.unresolved}
    assert errors.keys() == {"rover", "lander", "odd"}
    assert "with mass (a string), which is no number" in errors["odd"]
    later.description = "again"
    later.calculated_channel_configuration.query_configuration.sel.expression = "thrust + $1"
    again = rig.update(later, "description", "calculated_channel_configuration")
    told = {one.asset_name: list(one.missing_channels) for one in again.inapplicable_assets}
    assert told["odd"] == []


def test_one_that_fits_nowhere_any_more_can_be_renamed(rig):
    """And archived; its expression can't be declared again."""
    made = rig.made("only", calculated_channel_configuration=config("log", {}))
    strings = rig.made("strings", calculated_channel_configuration=config("only == 'x'", {}))
    create_config(rig.channel, {"f": {"only": DOUBLE}}, "rover", "second")
    create_config(rig.channel, {"f": {"only": DOUBLE}}, "lander", "third")
    strings.name = "texts"
    response = rig.update(strings, "name")
    assert response.calculated_channel.name == "texts"
    assert len(response.inapplicable_assets) == 2
    with pytest.raises(grpc.RpcError, match=r"compares only \(a double\) with a string"):
        rig.update(strings, "query_configuration")
    made.is_archived = True
    assert rig.update(made, "is_archived").calculated_channel.is_archived


def test_one_is_resolved_for_assets(rig):
    """Those that are asked for, or all that it is for; what comes back can be read."""
    rig.ingest((1, 2.0, 3.0, "a"), (2, 4.0, 5.0, "b"))
    made = rig.made("power", "motor.voltage * $2")
    (rover,) = rig.resolve(made, "rover").resolved
    assert (rover.asset_name, rover.asset_id) == ("rover", rig.rover.asset_id)
    assert rover.output_data_type == DOUBLE
    assert dict(rover.expression_request.channel_references) == {
        "motor.voltage": rig.ids["motor.voltage"], "$2": rig.ids["current"],
    }  # fmt: skip
    assert rig.read(rover.expression_request) == [(1, 6.0), (2, 20.0)]
    found = rig.resolve(made)
    assert [one.asset_name for one in found.resolved] == ["rover"]
    (lander,) = found.unresolved
    assert lander.asset_name == "lander"
    assert (
        "$2 stands for 'current', which is neither a channel of the asset" in lander.error_message
    )
    only = rig.made("only", calculated_channel_configuration=config(asset_ids=[rig.rover.asset_id]))
    (lander,) = rig.resolve(only, "lander").unresolved
    assert "'only' is not for this asset" in lander.error_message
    with pytest.raises(grpc.RpcError, match="no asset 'none'"):
        rig.resolve(made, "none")
    request = pb2.ResolveCalculatedChannelRequest(
        calculated_channel_configuration=config("current > 1", {})
    )
    request.assets.ids.ids.append(rig.rover.asset_id)
    (unsaved,) = rig.stub.ResolveCalculatedChannel(request).resolved
    assert rig.read(unsaved.expression_request) == [(1, True), (2, True)]
    listed = rig.stub.ListResolvedCalculatedChannels(
        pb2.ListResolvedCalculatedChannelsRequest(
            asset_id=rig.rover.asset_id, filter="name == 'power'"
        )
    )
    (one,) = listed.calculated_channel_resolutions
    assert one.calculated_channel == made
    assert list(one.resolved) == [rover]
    listed = rig.stub.ListResolvedCalculatedChannels(
        pb2.ListResolvedCalculatedChannelsRequest(asset_id=rig.lander.asset_id)
    )
    names = [each.calculated_channel.name for each in listed.calculated_channel_resolutions]
    assert names == ["power"]


def test_one_is_resolved_for_the_assets_of_a_run(rig):
    """Those that have data in it."""
    run = runs_pb2_grpc.RunServiceStub(rig.channel).CreateRun(
        runs_pb2.CreateRunRequest(name="drive")
    ).run  # fmt: skip
    made = rig.made("twice", calculated_channel_configuration=config("motor.voltage * 2", {}))
    request = pb2.ResolveCalculatedChannelRequest()
    request.run.id = run.run_id
    assert not rig.resolve(made, run=request.run).resolved
    rig.ingest((1, 2.0, 3.0, "a"), run_id=run.run_id)
    assert [one.asset_name for one in rig.resolve(made, run=request.run).resolved] == ["rover"]
    assert len(rig.resolve(made).resolved) == 2


def test_how_many_are_resolved_at_once_is_limited():
    """Each asks the catalog."""
    request = pb2.BatchResolveCalculatedChannelsRequest()
    for _ in range(RESOLVED_AT_ONCE_MAX + 1):
        request.requests.add()
    with pytest.raises(InvalidArgumentError, match=r"1,001 .* 1,000 \(RESOLVED_AT_ONCE_MAX\)"):
        CalculatedChannelService.batch_resolve_calculated_channels(None, request)


def test_calculated_channels_are_made_of_others(rig):
    """By version, written out inside, and by name, which stays at the version that it had."""
    rig.ingest((1, 2.0, 3.0, "a"))
    power = rig.made()
    by_version = rig.made("double", "$p * 2", calculated_channel_configuration=config(
        "$p * 2", {"$p": version_reference("$p", power.version_id)}
    ))  # fmt: skip
    inline = pb2.CalculatedChannelAbstractChannelReference(channel_reference="$p")
    inline.calculated_channel.expression = "$1 + 1"
    inline.calculated_channel.channel_references["$1"] = rig.ids["current"]
    inlined = rig.made("inlined", "", calculated_channel_configuration=config(
        "$p * motor.voltage", {"$p": inline}
    ))  # fmt: skip
    by_name = rig.made("name", "", calculated_channel_configuration=config(
        "power + $d", {"$d": "double"}
    ))  # fmt: skip
    expected = {"double": 12.0, "inlined": 8.0, "name": 18.0}

    def values() -> dict[str, float]:
        return {
            one.name: rig.read(rig.resolve(one, "rover").resolved[0].expression_request)[0][1]
            for one in (by_version, inlined, by_name)
        }

    assert values() == expected
    dependencies = [
        one.calculated_channel_version_id for one in by_name.calculated_channel_dependencies
    ]
    assert sorted(dependencies) == sorted([power.version_id, by_version.version_id])
    # A version always means the same.
    power.calculated_channel_configuration.CopyFrom(config("$1 * $2 * 100"))
    changed = rig.update(power, "calculated_channel_configuration").calculated_channel
    assert values() == expected
    by_name.description = "renamed"
    same = rig.update(by_name, "description").calculated_channel
    assert same.calculated_channel_dependencies == by_name.calculated_channel_dependencies
    anew = rig.update(by_name, "calculated_channel_configuration").calculated_channel
    assert anew.version == same.version + 1
    assert anew.change_message == "Changed the calculated channels that are named"
    assert values()["name"] == 612.0
    found = rig.stub.GetCalculatedChannelDependents(
        pb2.GetCalculatedChannelDependentsRequest(calculated_channel_version_id=power.version_id)
    )
    assert [one.name for one in found.calculated_channels] == ["double"]
    found = rig.stub.GetCalculatedChannelDependents(
        pb2.GetCalculatedChannelDependentsRequest(
            calculated_channel_id=changed.calculated_channel_id
        )
    )
    assert {one.name for one in found.calculated_channels} == {"double", "name"}


def test_a_channel_wins_over_a_calculated_one_of_its_name(rig):
    """Asset by asset; one that an asset does not have can't be named for it."""
    rig.ingest((1, 2.0, 3.0, "a"))
    assets = {"asset_ids": [rig.lander.asset_id]}
    rig.create("current", "", calculated_channel_configuration=config(
        "motor.voltage * 0.1", {}, **assets
    ))  # fmt: skip
    made = rig.create("name", "", calculated_channel_configuration=config("current * 1", {}))
    assert not made.inapplicable_assets
    found = {one.asset_name: one for one in rig.resolve(made.calculated_channel).resolved}
    rover = found["rover"].expression_request
    assert dict(rover.channel_references) == {"current": rig.ids["current"]}
    assert rig.read(rover) == [(1, 3.0)]
    (nested,) = found["lander"].expression_request.expression_channel_references
    assert nested.calculated_channel.expression == "motor.voltage * 0.1"
    rig.create("mine", "", calculated_channel_configuration=config("motor.voltage", {}, **assets))
    response = rig.create("both", "", calculated_channel_configuration=config("mine + 1", {}))
    told = {one.asset_name: list(one.missing_channels) for one in response.inapplicable_assets}
    assert told == {"rover": ["mine"], "lander": ["mine"]}


def test_nothing_is_made_of_itself_without_end(rig):
    """By name, by version, or deep inside."""
    a = rig.made("a", "", calculated_channel_configuration=config("current + 1", {}))
    b = rig.made("b", "", calculated_channel_configuration=config("a + 1", {}))
    for text in ("a * 2", "b * 2"):
        a.calculated_channel_configuration.CopyFrom(config(text, {}))
        with pytest.raises(grpc.RpcError, match="'a' would be a part of itself"):
            rig.update(a, "calculated_channel_configuration")
    last = b
    for level in range(2, NESTING_MAX + 1):
        last = rig.made(f"c{level}", "", calculated_channel_configuration=config(
            "$1 + 1", {"$1": version_reference("$1", last.version_id)}
        ))  # fmt: skip
    with pytest.raises(grpc.RpcError, match=r"more than 8 .*\(NESTING_MAX\)"):
        rig.create("last", "", calculated_channel_configuration=config(
            "$1 + 1", {"$1": version_reference("$1", last.version_id)}
        ))  # fmt: skip


def test_assets_of_a_tag_have_it(rig):
    """Also those that are tagged later."""
    tag = tags_pb2_grpc.TagServiceStub(rig.channel).CreateTag(
        tags_pb2.CreateTagRequest(name="field")
    ).tag  # fmt: skip
    made = rig.create("tagged", "", calculated_channel_configuration=config(tag_ids=[tag.tag_id]))
    assert not made.inapplicable_assets
    assert not rig.resolve(made.calculated_channel).resolved
    assets_pb2_grpc.AssetServiceStub(rig.channel).UpdateAsset(
        assets_pb2.UpdateAssetRequest(
            asset=assets_pb2.Asset(asset_id=rig.rover.asset_id, tags=["field"]),
            update_mask=FieldMask(paths=["tags"]),
        )
    )
    (rover,) = rig.resolve(made.calculated_channel).resolved
    assert rover.asset_name == "rover"
