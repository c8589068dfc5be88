"""Ingestion configs, flows, and the channels and assets that come with them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from sift_server.catalog import (
    BitFieldElement,
    ChannelConfig,
    EnumType,
    FlowConfig,
    ListRequest,
)
from sift_server.catalog.ingestion_configs import FLOWS_PAGE_BYTES_MAX
from sift_server.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)
from sift_wire.columns import DataType
from support.catalogs import flow_of

STATE = ChannelConfig(
    "state",
    DataType.ENUM,
    component="mainmotor",
    unit="-",
    description="what it does",
    enum_types=(EnumType("idle", 0), EnumType("on", 1, is_signed=True)),
)
GPIO = ChannelConfig(
    "gpio",
    DataType.BIT_FIELD,
    bit_field_elements=(BitFieldElement("12v", 0, 1), BitFieldElement("heater", 3, 2)),
)
READINGS = FlowConfig("readings", (STATE, GPIO, ChannelConfig("voltage", DataType.INT_32)))


def test_a_config_creates_asset_and_channels_before_any_data(catalog):
    """Channels of a new config are listed, in its order, with everything its client said."""
    config = catalog.ingestion_configs.create("NostromoLV426", "key", [READINGS])

    (asset,) = catalog.assets.list(ListRequest()).items
    assert (asset.name, asset.asset_id) == ("NostromoLV426", config.asset_id)
    channels = catalog.channels.list(ListRequest(filter=f'asset_id=="{asset.asset_id}"')).items
    assert [channel.config for channel in channels] == list(READINGS.channels)
    assert channels[0].config.fqn == "mainmotor.state"
    assert catalog.channels.get(channels[1].channel_id) == channels[1]


def test_a_config_is_listed_with_the_flows_it_was_created_with(catalog):
    """Flows read back equal, in the order in which they were created."""
    config = catalog.ingestion_configs.create("a", "key", [READINGS])
    logs = flow_of("logs", "log", data_type=DataType.STRING)
    catalog.ingestion_configs.create_flows(config.ingestion_config_id, [logs])

    listed = catalog.ingestion_configs.list_flows(config.ingestion_config_id, ListRequest())
    assert listed.items == [READINGS, logs]
    assert catalog.ingestion_configs.get(config.ingestion_config_id) == config
    by_key = catalog.ingestion_configs.list(ListRequest(filter='client_key=="key"', page_size=1))
    assert (by_key.items, by_key.next_token) == ([config], "")


def test_flows_can_be_listed_by_name(catalog):
    """The filter of the published streaming client finds flows by a list of names."""
    flows = [flow_of(name, "x") for name in ("a", "b", "c")]
    config = catalog.ingestion_configs.create("asset", "key", flows)
    request = ListRequest(filter="flow_name in ['c','a']", page_size=1000)
    listed = catalog.ingestion_configs.list_flows(config.ingestion_config_id, request)
    assert [flow.name for flow in listed.items] == ["a", "c"]


def test_a_client_key_is_unique(catalog):
    """A second config of a client key is refused, and makes neither asset nor channel."""
    catalog.ingestion_configs.create("first", "key", [flow_of("f", "x")])
    with pytest.raises(AlreadyExistsError, match="'key'"):
        catalog.ingestion_configs.create("second", "key", [flow_of("f", "y")])
    assert [asset.name for asset in catalog.assets.list(ListRequest()).items] == ["first"]
    assert len(catalog.channels.list(ListRequest()).items) == 1


def test_configs_without_client_key_do_not_clash(catalog):
    """No key is not a key."""
    configs = [catalog.ingestion_configs.create("asset", "", []) for _ in range(2)]
    assert len({config.ingestion_config_id for config in configs}) == 2
    assert len({config.asset_id for config in configs}) == 1
    assert len(catalog.ingestion_configs.list(ListRequest(filter="client_key == ''")).items) == 2


def test_one_of_two_threads_that_create_the_same_config_wins(catalog):
    """Whatever the timing: one config, the other thread is told that it exists."""
    together = threading.Barrier(2)

    def create(number: int) -> str:
        together.wait(10)
        try:
            return catalog.ingestion_configs.create("asset", f"key-{number}", []).client_key
        except AlreadyExistsError:
            return "exists"

    with ThreadPoolExecutor(2) as pool:
        for number in range(20):
            answers = list(pool.map(create, [number, number]))
            assert sorted(answers) == ["exists", f"key-{number}"]


def test_threads_that_create_flows_do_not_disturb_each_other(catalog):
    """The published client creates flows one a call, many at a time."""
    config = catalog.ingestion_configs.create("asset", "key", [])

    def create(number: int) -> None:
        flow = flow_of(f"flow-{number}", "shared", f"own-{number}")
        catalog.ingestion_configs.create_flows(config.ingestion_config_id, [flow])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(create, range(100)))
    listed = catalog.ingestion_configs.list_flows(
        config.ingestion_config_id, ListRequest(page_size=1000)
    )
    assert {flow.name for flow in listed.items} == {f"flow-{number}" for number in range(100)}
    assert len(catalog.channels.list(ListRequest(page_size=1000)).items) == 101


def test_the_same_flow_again_already_exists(catalog):
    """An identical flow is ALREADY_EXISTS, which published clients accept."""
    config = catalog.ingestion_configs.create("asset", "key", [READINGS])
    with pytest.raises(AlreadyExistsError, match="'readings'"):
        catalog.ingestion_configs.create_flows(config.ingestion_config_id, [READINGS])


def test_a_component_in_the_name_is_the_same_channel(catalog):
    """`mainmotor` and `state`, or `mainmotor.state`: newer clients merge them."""
    config = catalog.ingestion_configs.create("asset", "key", [READINGS])
    merged = replace(STATE, name="mainmotor.state", component="")
    flow = FlowConfig("readings", (merged, *READINGS.channels[1:]))
    with pytest.raises(AlreadyExistsError):
        catalog.ingestion_configs.create_flows(config.ingestion_config_id, [flow])


@pytest.mark.parametrize(
    ("channels", "said"),
    [
        ((STATE, GPIO, ChannelConfig("voltage", DataType.INT_64)), "'voltage'.*INT_32.*INT_64"),
        ((*READINGS.channels, ChannelConfig("new", DataType.BOOL)), "no channel 'new'"),
        ((STATE, GPIO), "also has the channel 'voltage'"),
        ((GPIO, STATE, READINGS.channels[2]), "channel 1 is 'mainmotor.state'.*now 'gpio'"),
        ((STATE, replace(GPIO, unit="V"), READINGS.channels[2]), "'gpio' has another unit"),
        ((replace(STATE, enum_types=()), *READINGS.channels[1:]), "another enum_types"),
    ],
)
def test_another_flow_of_a_name_is_refused(catalog, channels, said):
    """A flow never changes: the error names flow, channel, and what to do."""
    config = catalog.ingestion_configs.create("asset", "key", [READINGS])
    with pytest.raises(FailedPreconditionError, match=f"'readings'.*{said}.*new client key"):
        catalog.ingestion_configs.create_flows(
            config.ingestion_config_id, [flow_of("other", "x"), FlowConfig("readings", channels)]
        )


def test_flows_of_one_call_are_created_together_or_not_at_all(catalog):
    """One flow that exists keeps the others of its call from being created."""
    config = catalog.ingestion_configs.create("asset", "key", [flow_of("old", "x")])
    with pytest.raises(AlreadyExistsError):
        catalog.ingestion_configs.create_flows(
            config.ingestion_config_id, [flow_of("new", "y"), flow_of("old", "x")]
        )
    listed = catalog.ingestion_configs.list_flows(config.ingestion_config_id, ListRequest())
    assert [flow.name for flow in listed.items] == ["old"]
    assert [one.config.fqn for one in catalog.channels.list(ListRequest()).items] == ["x"]


@pytest.mark.parametrize(
    ("flows", "said"),
    [
        ([flow_of("f", "x"), flow_of("f", "y")], "flow 'f' is there twice"),
        ([flow_of("f", "x", "x")], "channel 'x' is there twice in the flow 'f'"),
        (
            [FlowConfig("f", (STATE, replace(STATE, name="mainmotor.state", component="")))],
            "channel 'mainmotor.state' is there twice",
        ),
        ([flow_of(" ", "x")], "flow has no name"),
        ([flow_of("f", "x", "")], "channel 2 of the flow 'f' has no name"),
    ],
)
def test_names_that_are_missing_or_twice_are_refused(catalog, flows, said):
    """The error names flow and channel."""
    with pytest.raises(InvalidArgumentError, match=said):
        catalog.ingestion_configs.create("asset", "key", flows)
    with pytest.raises(InvalidArgumentError, match="asset_name"):
        catalog.ingestion_configs.create("", "key", [])


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        ([("a", 0, 33)], "element 'a'.*'gpio'.*'f' has 33 bits"),
        ([("a", 0, -1)], "element 'a'.*has -1 bits"),
        ([("a", -1, 1)], "element 'a'.*the index -1"),
        ([("a", 2**31, 1)], "element 'a'.*the index 2147483648"),
        ([("a", 0, 1), ("a", 1, 1)], "element 'a'.*twice"),
        ([("a", 0, 1), (" ", 1, 1)], "element 2 of the channel 'gpio'.*no name"),
    ],
)
def test_bit_field_elements_that_cannot_be_read_are_refused(catalog, elements, said):
    """When a config is created and when a flow is; the widest and the last bits are taken."""
    fine = tuple(BitFieldElement(*one) for one in [("a", 0, 32), ("b", 2**31 - 1, 1), ("c", 0, 0)])
    config = catalog.ingestion_configs.create(
        "asset", "key", [FlowConfig("f", (replace(GPIO, bit_field_elements=fine),))]
    )
    wrong = replace(GPIO, bit_field_elements=tuple(BitFieldElement(*one) for one in elements))
    with pytest.raises(InvalidArgumentError, match=said):
        catalog.ingestion_configs.create("asset", "other key", [FlowConfig("f", (wrong,))])
    with pytest.raises(InvalidArgumentError, match=said):
        catalog.ingestion_configs.create_flows(
            config.ingestion_config_id, [FlowConfig("f", (wrong,))]
        )


def test_a_channel_is_one_of_asset_name_and_type(catalog):
    """Two configs of an asset share a channel; another type or asset is another channel."""
    configs = [
        catalog.ingestion_configs.create(asset, key, [flow_of("f", "x", data_type=data_type)])
        for asset, key, data_type in [
            ("a", "1", DataType.DOUBLE),
            ("a", "2", DataType.DOUBLE),
            ("a", "3", DataType.STRING),
            ("b", "4", DataType.DOUBLE),
        ]
    ]
    ids = [
        catalog.ingestion_configs.flow(config.ingestion_config_id, "f").channel_ids[0]
        for config in configs
    ]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


def test_the_last_flow_describes_its_channels(catalog):
    """A new flow may say more of a channel; the old flow still says what it said."""
    config = catalog.ingestion_configs.create("asset", "key", [flow_of("old", "x")])
    described = ChannelConfig("x", DataType.DOUBLE, unit="V", description="supply")
    catalog.ingestion_configs.create_flows(
        config.ingestion_config_id, [FlowConfig("new", (described,))]
    )
    (channel,) = catalog.channels.list(ListRequest()).items
    assert channel.config == described
    assert channel.modified_ns > channel.created_ns
    old, new = catalog.ingestion_configs.list_flows(config.ingestion_config_id, ListRequest()).items
    assert (old.channels[0].unit, new.channels[0].unit) == ("", "V")


def test_ingestion_is_told_what_a_flow_looks_like(catalog):
    """Names, types and ids, each in the order of the values on the wire."""
    config = catalog.ingestion_configs.create("NostromoLV426", "key", [READINGS])
    flow = catalog.ingestion_configs.flow(config.ingestion_config_id, "readings")
    assert (flow.asset_name, flow.asset_id) == ("NostromoLV426", config.asset_id)
    assert flow.layout.flow_name == "readings"
    assert flow.layout.channel_names == ("mainmotor.state", "gpio", "voltage")
    assert flow.layout.data_types == (DataType.ENUM, DataType.BIT_FIELD, DataType.INT_32)
    by_id = {one.channel_id: one for one in catalog.channels.list(ListRequest()).items}
    assert [by_id[one].config.fqn for one in flow.channel_ids] == list(flow.layout.channel_names)


def test_ingestion_is_told_whether_config_or_flow_is_unknown(catalog):
    """The message says which of both, and what flows there are, but not thousands of them."""
    flows = [flow_of(f"flow-{number}", "x") for number in range(1_000)]
    few = catalog.ingestion_configs.create("asset", "few", flows[:2])
    many = catalog.ingestion_configs.create("asset", "many", flows)
    none = catalog.ingestion_configs.create("asset", "none", [])
    flow = catalog.ingestion_configs.flow
    with pytest.raises(NotFoundError, match="no ingestion config with the id 'nowhere'"):
        flow("nowhere", "flow")
    with pytest.raises(NotFoundError, match="no flow 'missing'; it has 'flow-0', 'flow-1'"):
        flow(few.ingestion_config_id, "missing")
    with pytest.raises(NotFoundError, match="it has no flow yet"):
        flow(none.ingestion_config_id, "missing")
    with pytest.raises(NotFoundError, match="it has 1,000 flows, among them") as raised:
        flow(many.ingestion_config_id, "missing")
    assert len(str(raised.value)) < 500


def test_what_belongs_to_an_unknown_config_is_not_found(catalog):
    """Reading it, listing its flows, and adding flows."""
    configs = catalog.ingestion_configs
    with pytest.raises(NotFoundError):
        configs.get("nowhere")
    with pytest.raises(NotFoundError):
        configs.list_flows("nowhere", ListRequest())
    with pytest.raises(NotFoundError):
        configs.create_flows("nowhere", [READINGS])
    with pytest.raises(NotFoundError, match="'nothing'"):
        catalog.channels.get("nothing")


def test_large_flows_come_in_pages_that_clients_can_take(catalog):
    """A page of flows stays well under the 4 MiB that gRPC clients take, and none is left out."""
    names = [f"channel-{number:05}-{'x' * 60}" for number in range(4_000)]
    flows = [flow_of(f"flow-{number}", *names) for number in range(10)]
    config = catalog.ingestion_configs.create("asset", "key", flows)
    seen, token, pages = [], "", 0
    while pages == 0 or token:
        page = catalog.ingestion_configs.list_flows(
            config.ingestion_config_id, ListRequest(page_size=1000, page_token=token)
        )
        assert page.items
        size = sum(len(one.name) for flow in page.items for one in flow.channels)
        assert size <= FLOWS_PAGE_BYTES_MAX
        seen += [flow.name for flow in page.items]
        token, pages = page.next_token, pages + 1
    assert seen == [flow.name for flow in flows]
    assert pages > 1
