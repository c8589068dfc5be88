"""Assets, runs, rules and pings through their services."""

from __future__ import annotations

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from sift.assets.v1 import assets_pb2
from sift.metadata.v1 import metadata_pb2
from sift.ping.v1 import ping_pb2
from sift.runs.v2 import runs_pb2
from sift_server.api.services import assets, ping, runs
from sift_server.errors import (
    AlreadyExistsError,
    InvalidArgumentError,
    NotFoundError,
    UnimplementedError,
)


def entry(key: str, **value: object) -> metadata_pb2.MetadataValue:
    type_ = {
        "string_value": metadata_pb2.METADATA_KEY_TYPE_STRING,
        "number_value": metadata_pb2.METADATA_KEY_TYPE_NUMBER,
        "boolean_value": metadata_pb2.METADATA_KEY_TYPE_BOOLEAN,
    }.get(next(iter(value), ""))
    return metadata_pb2.MetadataValue(key=metadata_pb2.MetadataKey(name=key, type=type_), **value)


METADATA = [
    entry("site", string_value="north"),
    entry("mass", number_value=1.5),
    entry("ok", boolean_value=False),
]


@pytest.fixture
def run_service(catalog) -> runs.RunService:
    """The service of runs."""
    return runs.RunService(catalog)


@pytest.fixture
def asset_service(catalog) -> assets.AssetService:
    """The service of assets, with one asset."""
    catalog.ingestion_configs.create("Rover", "key", [], "org")
    return assets.AssetService(catalog)


def test_ping_answers_a_text():
    """Clients check that it is one."""
    assert ping.PingService().ping(ping_pb2.PingRequest()).response


def test_an_asset_is_got_by_id_under_its_name(asset_service):
    """With dates, which a published client requires."""
    (listed,) = asset_service.list_assets(
        assets_pb2.ListAssetsRequest(filter='name in ["Rover"]', page_size=1000)
    ).assets
    got = asset_service.get_asset(assets_pb2.GetAssetRequest(asset_id=listed.asset_id)).asset
    assert got == listed
    assert (got.name, got.organization_id) == ("Rover", "org")
    assert got.created_date.ToNanoseconds() == got.modified_date.ToNanoseconds() > 0
    assert not got.HasField("archived_date")
    with pytest.raises(NotFoundError, match="'none'"):
        asset_service.get_asset(assets_pb2.GetAssetRequest(asset_id="none"))


def test_an_asset_is_updated_by_mask(asset_service):
    """Fields that the mask does not name stay as they are."""
    (asset,) = asset_service.list_assets(assets_pb2.ListAssetsRequest()).assets

    def update(paths: list[str], **fields: object) -> assets_pb2.Asset:
        request = assets_pb2.UpdateAssetRequest(
            asset=assets_pb2.Asset(asset_id=asset.asset_id, **fields),
            update_mask=FieldMask(paths=paths),
        )
        return asset_service.update_asset(request).asset

    tagged = update(["tags", "metadata"], tags=["b", "a"], metadata=METADATA)
    assert (list(tagged.tags), list(tagged.metadata)) == (["b", "a"], METADATA)
    retagged = update(["tags"], tags=["c"], metadata=[])
    assert (list(retagged.tags), list(retagged.metadata)) == (["c"], METADATA)
    archived = update(["is_archived"], is_archived=True)
    assert archived.is_archived
    assert archived.archived_date.ToNanoseconds() > 0
    again = update(["is_archived"], is_archived=True)
    assert again.archived_date == archived.archived_date
    dated = update(["archived_date"], archived_date=Timestamp(seconds=5))
    assert dated.archived_date.seconds == 5
    assert not update(["archived_date"]).is_archived
    assert list(update([], tags=["d"]).tags) == ["d"]
    everything = update(["*"], tags=["e"])
    assert (list(everything.tags), list(everything.metadata)) == (["e"], [])
    with pytest.raises(InvalidArgumentError, match=r"'name'.*archived_date, is_archived, metadata"):
        update(["tags", "name"], name="Other")


def test_an_asset_is_archived(asset_service):
    """Since the first time that somebody did; its runs are not known, so they are not archived."""
    (asset,) = asset_service.list_assets(assets_pb2.ListAssetsRequest()).assets
    dates = []
    for _ in range(2):
        asset_service.archive_asset(assets_pb2.ArchiveAssetRequest(asset_id=asset.asset_id))
        (archived,) = asset_service.list_assets(
            assets_pb2.ListAssetsRequest(filter="is_archived == true")
        ).assets
        dates.append(archived.archived_date)
    assert dates[0] == dates[1] != Timestamp()
    with pytest.raises(UnimplementedError, match="archive the runs"):
        asset_service.archive_asset(
            assets_pb2.ArchiveAssetRequest(asset_id=asset.asset_id, archive_runs=True)
        )
    with pytest.raises(NotFoundError, match="'none'"):
        asset_service.archive_asset(assets_pb2.ArchiveAssetRequest(asset_id="none"))


def test_a_run_is_created_found_and_got(run_service):
    """As its client said, to the nanosecond."""
    request = runs_pb2.CreateRunRequest(
        name="hotfire",
        description="third",
        tags=["b", "a"],
        start_time=Timestamp(seconds=-1, nanos=999_999_999),
        stop_time=Timestamp(seconds=10, nanos=1),
        organization_id="org",
        client_key="rk",
        metadata=METADATA,
    )
    run = run_service.create_run(request).run
    for field in ("name", "description", "tags", "start_time", "stop_time", "client_key"):
        assert getattr(run, field) == getattr(request, field)
    assert list(run.metadata) == METADATA
    assert (run.duration.seconds, run.duration.nanos) == (10, 2)
    assert (run.is_stopped, run.is_archived, run.organization_id) == (True, False, "org")
    assert run.created_date == run.modified_date
    assert run_service.get_run(runs_pb2.GetRunRequest(run_id=run.run_id)).run == run
    for filter_ in ('name=="hotfire"', "client_key == 'rk'"):
        answer = run_service.list_runs(runs_pb2.ListRunsRequest(filter=filter_, page_size=1))
        assert (list(answer.runs), answer.next_page_token) == ([run], "")
    with pytest.raises(AlreadyExistsError, match="'rk'"):
        run_service.create_run(request)


def test_a_bare_run_has_neither_times_nor_key(run_service):
    """What the client did not say stays unset."""
    run = run_service.create_run(runs_pb2.CreateRunRequest(name="bare")).run
    unset = ("start_time", "stop_time", "client_key", "archived_date", "duration", "stopped_date")
    assert not any(run.HasField(field) for field in unset)
    assert not run.is_stopped


def test_runs_are_listed_in_the_order_asked_for(run_service):
    """`order_by` goes through, and so do page tokens."""
    for name in ("b", "a", "c"):
        run_service.create_run(runs_pb2.CreateRunRequest(name=name))
    request = runs_pb2.ListRunsRequest(order_by="name desc", page_size=2)
    first = run_service.list_runs(request)
    request.page_token = first.next_page_token
    second = run_service.list_runs(request)
    assert [run.name for answer in (first, second) for run in answer.runs] == ["c", "b", "a"]


def test_a_run_is_updated_by_mask(run_service):
    """Fields that the mask does not name stay; unset fields that it names are cleared."""
    run_id = run_service.create_run(
        runs_pb2.CreateRunRequest(name="run", tags=["t"], client_key="k", metadata=METADATA)
    ).run.run_id

    def update(paths: list[str], **fields: object) -> runs_pb2.Run:
        request = runs_pb2.UpdateRunRequest(
            run=runs_pb2.Run(run_id=run_id, **fields), update_mask=FieldMask(paths=paths)
        )
        return run_service.update_run(request).run

    run = update(["name", "description", "tags"], name="new", description="d", tags=["x"])
    assert (run.name, run.description, list(run.tags)) == ("new", "d", ["x"])
    assert (run.client_key, list(run.metadata)) == ("k", METADATA)
    timed = update(
        ["start_time", "stop_time", "is_pinned", "metadata"],
        start_time=Timestamp(nanos=1),
        stop_time=Timestamp(nanos=2),
        is_pinned=True,
        metadata=METADATA[:1],
    )
    assert (timed.start_time.nanos, timed.stop_time.nanos, timed.is_pinned) == (1, 2, True)
    assert list(timed.metadata) == METADATA[:1]
    assert not update(["stop_time", "client_key"]).HasField("stop_time")
    assert update(["is_archived"], is_archived=True).is_archived
    assert not update(["archived_date"]).is_archived
    assert update([], description="implied").description == "implied"
    with pytest.raises(InvalidArgumentError, match=r"'run_id'.*client_key"):
        update(["run_id"])
    with pytest.raises(InvalidArgumentError, match="needs a name"):
        update(["name"])


def test_a_run_is_stopped(run_service):
    """Now, by the server's clock."""
    run_id = run_service.create_run(runs_pb2.CreateRunRequest(name="run")).run.run_id
    run_service.stop_run(runs_pb2.StopRunRequest(run_id=run_id))
    run = run_service.get_run(runs_pb2.GetRunRequest(run_id=run_id)).run
    assert run.is_stopped
    assert run.stop_time.ToNanoseconds() > run.created_date.ToNanoseconds()
    with pytest.raises(NotFoundError, match="'none'"):
        run_service.stop_run(runs_pb2.StopRunRequest(run_id="none"))


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (
            runs_pb2.CreateRunRequest(name="r", start_time=Timestamp(nanos=1_000_000_000)),
            "start_time has 0 seconds and 1000000000 nanos",
        ),
        (
            runs_pb2.CreateRunRequest(name="r", stop_time=Timestamp(seconds=2**62)),
            "stop_time.*1677 to 2262",
        ),
        (
            runs_pb2.CreateRunRequest(name="r", metadata=[metadata_pb2.MetadataValue()]),
            "no value",
        ),
        (
            runs_pb2.CreateRunRequest(
                name="r",
                metadata=[
                    metadata_pb2.MetadataValue(
                        key=metadata_pb2.MetadataKey(name="k"),
                        relation_value=metadata_pb2.MetadataRelationValue(resource_id="x"),
                    )
                ],
            ),
            "'k' has relation_value",
        ),
        (runs_pb2.CreateRunRequest(), "needs a name"),
    ],
)
def test_a_request_that_makes_no_run_is_refused(run_service, request_, said):
    """INVALID_ARGUMENT, and a sentence that names the field."""
    with pytest.raises(InvalidArgumentError, match=said):
        run_service.create_run(request_)
