"""What the service asks of the control plane, and what it makes of the answers."""

from __future__ import annotations

import threading

import grpc
import pytest

from sift.ingestion_configs.v1.ingestion_configs_pb2 import FlowConfig as FlowConfigPb
from sift_py.errors import (
    IngestionValidationError,
    RulesRejectedError,
    SiftError,
    TelemetryConfigValidationError,
)
from sift_py.ingestion.channel import (
    ChannelConfig,
    ChannelDataType,
    double_value,
    int32_value,
    string_value,
)
from sift_py.ingestion.flow import FlowConfig
from sift_py.ingestion.service import IngestionService
from support.telemetry_configs import (
    GPIO,
    LOG,
    LOGS,
    READINGS,
    STATE,
    VELOCITY,
    VOLTAGE,
    log_row,
    named,
    rule,
    telemetry_config,
    velocity_row,
)

EXTRA = FlowConfig("extra", [ChannelConfig("x", ChannelDataType.DOUBLE)])
FIRST_CALLS = ["ListIngestionConfigs", "CreateIngestionConfig"]
LATER_CALLS = ["ListIngestionConfigs", "GetAsset", "ListIngestionConfigFlows"]


def test_a_new_config_is_created_with_all_its_flows(server, channel):
    """Asset, client key, organization and flows go in one call, as they are declared."""
    config = telemetry_config(organization_id="weyland")
    service = IngestionService(channel, config)
    assert server.methods == FIRST_CALLS
    listing, creation = (call.request for call in server.calls)
    assert (listing.filter, listing.page_size) == ('client_key=="nostromo"', 1)
    assert creation.asset_name == "NostromoLV426"
    assert creation.client_key == "nostromo"
    assert creation.organization_id == "weyland"
    assert list(creation.flows) == [READINGS.as_pb(FlowConfigPb), LOGS.as_pb(FlowConfigPb)]
    assert service.ingestion_config == server.configs["nostromo"].message


def test_the_service_shows_what_it_works_with(server, channel):
    """Every attribute of the published client is there, and `overwrite_rules` too."""
    config = telemetry_config(rules=[rule()])
    service = IngestionService(channel, config, "run-1", True, True)
    assert service.transport_channel is channel
    assert service.asset_name == "NostromoLV426"
    assert service.flow_configs_by_name == {"readings": READINGS, "logs": LOGS}
    assert service.rules == config.rules
    assert (service.run_id, service.organization_id) == ("run-1", None)
    assert service.overwrite_rules
    assert service.end_stream_on_error
    assert service.ingest_service_stub.IngestWithConfigDataStream


def test_an_unchanged_config_creates_nothing(server, channel):
    """A program that starts again finds what it made."""
    IngestionService(channel, telemetry_config())
    server.calls.clear()
    IngestionService(channel, telemetry_config())
    assert server.methods == LATER_CALLS


def test_a_config_without_flows_lists_none(server, channel):
    """There is nothing to compare."""
    server.add_config("nostromo", "NostromoLV426", LOGS.as_pb(FlowConfigPb))
    IngestionService(channel, telemetry_config(flows=[]))
    assert server.methods == ["ListIngestionConfigs", "GetAsset"]


def test_only_new_flows_are_created(server, channel):
    """In one call, without those that the server has."""
    IngestionService(channel, telemetry_config())
    server.calls.clear()
    IngestionService(channel, telemetry_config(LOGS, EXTRA))
    assert server.methods == [*LATER_CALLS, "CreateIngestionConfigFlows"]
    assert list(server.calls[-1].request.flows) == [EXTRA.as_pb(FlowConfigPb)]


def test_all_pages_of_flows_are_read(server, channel):
    """The server decides how many flows it lists at once."""
    flows = [FlowConfig(f"flow-{n}", [VOLTAGE]) for n in range(5)]
    IngestionService(channel, telemetry_config(*flows))
    server.flows_page_size_max = 2
    server.calls.clear()
    IngestionService(channel, telemetry_config(*flows))
    assert server.methods == [*LATER_CALLS, *LATER_CALLS[-1:] * 2]
    assert server.calls[-1].request.page_size == 1000


def test_quotes_in_a_client_key_are_escaped(server, channel):
    """A key with a quote is found again."""
    config = telemetry_config(ingestion_client_key='the "best" key\\')
    first = IngestionService(channel, config)
    assert IngestionService(channel, config).ingestion_config == first.ingestion_config


def test_the_servers_order_decides_on_the_wire(server, channel):
    """Values reach the positions that their channels have on the server, by name and in order."""
    server_flow = FlowConfig("readings", [GPIO, STATE, VOLTAGE, VELOCITY])
    server.add_config("nostromo", "NostromoLV426", server_flow.as_pb(FlowConfigPb))
    config = telemetry_config(FlowConfig("readings", [VELOCITY, GPIO]))
    service = IngestionService(channel, config)
    service.try_ingest_flows(velocity_row(7.0))
    service.ingest_flows(
        {
            "flow_name": "readings",
            "timestamp": 1,
            "channel_values": [double_value(8.0), string_value("unchecked")],
        }
    )
    kinds = [[value.WhichOneof("type") for value in row.channel_values] for row in server.rows]
    assert kinds == [
        ["empty", "empty", "empty", "double"],
        ["string", "empty", "empty", "double"],
    ]
    assert [row.channel_values[3].double for row in server.rows] == [7.0, 8.0]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (FlowConfig("logs", [LOG, VOLTAGE]), "without the channel 'voltage'"),
        (FlowConfig("logs", [ChannelConfig("log", ChannelDataType.BOOL)]), "channel 'log' is"),
        (FlowConfig("logs", [ChannelConfig("log2", ChannelDataType.STRING)]), "channel 'log2'"),
    ],
)
def test_a_change_that_a_key_cannot_carry_is_refused(server, channel, changed, reason):
    """Nothing is created; the message names flow, channel and remedy."""
    IngestionService(channel, telemetry_config())
    server.calls.clear()
    with pytest.raises(IngestionValidationError) as error:
        IngestionService(channel, telemetry_config(changed, EXTRA))
    assert server.methods == LATER_CALLS
    assert "flow 'logs'" in error.value.message
    assert reason in error.value.message
    assert "new ingestion_client_key" in error.value.message


def test_another_asset_under_the_same_key_is_refused(server, channel):
    """The message names both assets and the key."""
    IngestionService(channel, telemetry_config())
    with pytest.raises(IngestionValidationError) as error:
        IngestionService(channel, telemetry_config(asset_name="Sulaco"))
    assert "'nostromo' belongs to the asset 'NostromoLV426', not to 'Sulaco'" in str(error.value)
    assert "new ingestion_client_key" in error.value.message


@pytest.mark.parametrize("code", [grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.PERMISSION_DENIED])
def test_a_key_that_may_not_read_assets_may_ingest(server, channel, code):
    """The name of the asset is compared where the server tells it."""
    IngestionService(channel, telemetry_config())
    server.fail("GetAsset", code)
    IngestionService(channel, telemetry_config())


def test_errors_of_calls_reach_the_user(server, channel):
    """Whatever the server says, as gRPC raises it."""
    for method in ("ListIngestionConfigs", "CreateIngestionConfig"):
        server.fail(method, grpc.StatusCode.INTERNAL, "come back later")
        with pytest.raises(grpc.RpcError, match="come back later"):
            IngestionService(channel, telemetry_config())
    IngestionService(channel, telemetry_config())
    server.fail("GetAsset", grpc.StatusCode.NOT_FOUND, "gone")
    with pytest.raises(grpc.RpcError, match="gone"):
        IngestionService(channel, telemetry_config())


def test_two_processes_may_start_at_once(server, channel):
    """Who comes second to create config or flows uses what the first one made."""

    def create_config(method):
        if method == "CreateIngestionConfig":
            server.before_reply = create_flow
            server.add_config("nostromo", "NostromoLV426", LOGS.as_pb(FlowConfigPb))

    def create_flow(method):
        if method == "CreateIngestionConfigFlows":
            server.before_reply = lambda _: None
            server.configs["nostromo"].flows.append(READINGS.as_pb(FlowConfigPb))

    server.before_reply = create_config
    service = IngestionService(channel, telemetry_config(READINGS, LOGS, EXTRA))
    assert [flow.name for flow in server.configs["nostromo"].flows] == ["logs", "readings", "extra"]
    service.try_ingest_flows(log_row(), velocity_row(1.0))


def test_a_flow_that_always_exists_but_is_never_listed_is_an_error(server, channel):
    """Comparing again has an end."""
    IngestionService(channel, telemetry_config())
    server.fail("CreateIngestionConfigFlows", grpc.StatusCode.ALREADY_EXISTS, times=100)
    server.calls.clear()
    with pytest.raises(grpc.RpcError):
        IngestionService(channel, telemetry_config(EXTRA))
    assert server.methods.count("CreateIngestionConfigFlows") == 3


class TestRules:
    """The rules of the config replace the asset's, unless that would delete one."""

    def test_rules_are_viewed_then_replaced(self, server, channel):
        """Every time, even when nothing changed."""
        for _ in range(2):
            server.calls.clear()
            IngestionService(channel, telemetry_config(rules=[rule("a"), rule("b")]))
            assert server.methods[-2:] == ["ViewJsonRules", "UpdateJsonRules"]
        view, update = (call.request for call in server.calls[-2:])
        assert view.asset_id == update.request.asset_id == "asset-1"
        assert '"name": "a"' in update.request.rules_json

    def test_without_rules_nothing_is_asked(self, server, channel):
        """The asset's rules stay as they are."""
        server.rules["asset-1"] = '[{"name": "theirs"}]'
        IngestionService(channel, telemetry_config(), overwrite_rules=True)
        assert server.methods == FIRST_CALLS

    @pytest.mark.parametrize(
        ("on_server", "reason"),
        [
            ('[{"name": "stopped"}, {"name": "theirs"}]', "'asset-1' has the rule 'theirs'"),
            ('[{"name": ""}]', "rule without a name"),
            ('[{"description": "?"}]', "rule without a name"),
        ],
    )
    def test_a_rule_that_would_be_deleted_is_an_error(self, server, channel, on_server, reason):
        """The message names the rule, and how to keep it or to delete it."""
        server.rules["asset-1"] = on_server
        with pytest.raises(IngestionValidationError, match=reason) as error:
            IngestionService(channel, telemetry_config(rules=[rule()]))
        assert "overwrite_rules=True" in error.value.message
        assert server.rules["asset-1"] == on_server

    def test_overwriting_does_not_look(self, server, channel):
        """Rules that the config lacks are deleted, as asked for."""
        server.rules["asset-1"] = '[{"name": "theirs"}]'
        IngestionService(channel, telemetry_config(rules=[rule()]), overwrite_rules=True)
        assert server.methods == [*FIRST_CALLS, "UpdateJsonRules"]
        assert "theirs" not in server.rules["asset-1"]

    def test_a_server_without_rules_may_answer_nothing(self, server, channel):
        """An empty text is an empty list."""
        server.rules["asset-1"] = ""
        IngestionService(channel, telemetry_config(rules=[rule()]))
        assert server.methods[-1] == "UpdateJsonRules"

    @pytest.mark.parametrize(
        ("reason", "shown"), [("stopped: unknown '$2'", "unknown"), ("", "no reason")]
    )
    def test_a_refusal_carries_the_reason(self, server, channel, reason, shown):
        """The error says what the server said."""
        server.refusal = reason
        with pytest.raises(RulesRejectedError, match=shown) as error:
            IngestionService(channel, telemetry_config(rules=[rule()]))
        assert isinstance(error.value, SiftError)


class TestFlowsOnTheFly:
    """Flows may be created at any time."""

    def test_a_created_flow_takes_rows(self, server, channel):
        """It goes in one call, and is known from then on."""
        service = IngestionService(channel, telemetry_config())
        server.calls.clear()
        service.try_create_flow(EXTRA)
        service.try_ingest_flows(named("extra", x=double_value(1)))
        assert server.methods == ["CreateIngestionConfigFlows", "IngestWithConfigDataStream"]
        assert service.flow_configs_by_name["extra"] is EXTRA
        assert server.calls[0].request.ingestion_config_id == "config-1"

    @pytest.mark.parametrize("method", ["try_create_flow", "create_flow"])
    def test_several_flows_go_in_one_call(self, server, channel, method):
        """The first one by its published name, too."""
        service = IngestionService(channel, telemetry_config())
        getattr(service, method)(flow_config=FlowConfig("first", [VOLTAGE]))
        server.calls.clear()
        getattr(service, method)(EXTRA, FlowConfig("more", [VOLTAGE]))
        assert server.methods == ["CreateIngestionConfigFlows"]
        assert {"first", "extra", "more"} < service.flow_configs_by_name.keys()

    def test_a_known_name_is_refused(self, server, channel):
        """Nothing is created; the message names flow and asset."""
        service = IngestionService(channel, telemetry_config())
        server.calls.clear()
        with pytest.raises(IngestionValidationError, match="'logs' exists already in asset 'No"):
            service.try_create_flow(EXTRA, LOGS)
        assert server.methods == []

    def test_a_name_given_twice_is_refused(self, server, channel):
        """Nothing is created."""
        service = IngestionService(channel, telemetry_config())
        server.calls.clear()
        with pytest.raises(IngestionValidationError, match="'extra' is there twice"):
            service.create_flow(EXTRA, FlowConfig("extra", [VOLTAGE]))
        assert server.methods == []

    def test_a_program_that_creates_flows_can_start_again(self, server, channel):
        """Flows that the server has are used in its order, the others are created."""
        IngestionService(channel, telemetry_config()).try_create_flow(
            FlowConfig("pair", [VOLTAGE, STATE])
        )
        service = IngestionService(channel, telemetry_config())
        service.try_create_flow(FlowConfig("pair", [STATE, VOLTAGE]), EXTRA)
        service.try_ingest_flows(named("pair", voltage=int32_value(5)), named("extra"))
        assert server.rows[0].channel_values[0] == int32_value(5)
        assert [flow.name for flow in server.configs["nostromo"].flows][2:] == ["pair", "extra"]

    def test_a_flow_that_the_server_has_otherwise_is_refused(self, server, channel):
        """`create_flow` too can't change a flow; the service goes on with the old one."""
        service = IngestionService(channel, telemetry_config())
        with pytest.raises(
            IngestionValidationError, match=r"'logs'.*without the channel 'voltage'"
        ):
            service.create_flow(FlowConfig("logs", [LOG, VOLTAGE]))
        assert service.flow_configs_by_name["logs"] is LOGS

    def test_other_errors_reach_the_user(self, server, channel):
        """The flow is not known then."""
        service = IngestionService(channel, telemetry_config())
        server.fail("CreateIngestionConfigFlows", grpc.StatusCode.INTERNAL)
        with pytest.raises(grpc.RpcError):
            service.create_flow(EXTRA)
        assert "extra" not in service.flow_configs_by_name

    def test_flows_may_be_created_by_many_threads_while_others_ingest(self, server, channel):
        """No flow is lost, and rows go on."""
        service = IngestionService(channel, telemetry_config())
        stop = threading.Event()
        failures = []

        def ingest():
            while not stop.is_set():
                try:
                    service.try_ingest_flows(log_row())
                except Exception as error:  # noqa: BLE001 - shown below
                    failures.append(error)
                    return

        def create(number):
            flow = FlowConfig(f"flow-{number}", [VOLTAGE])
            service.try_create_flow(flow)
            service.try_ingest_flows(named(flow.name))

        ingesting = threading.Thread(target=ingest)
        ingesting.start()
        creating = [threading.Thread(target=create, args=(number,)) for number in range(16)]
        for thread in creating:
            thread.start()
        for thread in creating:
            thread.join()
        stop.set()
        ingesting.join()
        assert not failures
        assert len(service.flow_configs_by_name) == 18
        assert {row.flow for row in server.rows} >= {f"flow-{number}" for number in range(16)}


def test_a_flow_that_is_no_valid_one_is_not_created(server, channel):
    """Nothing is called; the message is that of a telemetry config."""
    service = IngestionService(channel, telemetry_config())
    server.calls.clear()
    with pytest.raises(TelemetryConfigValidationError, match=r"'late', channel 'a': .*\.DOUBLE"):
        service.create_flow(FlowConfig("late", [ChannelConfig("a", "double")]))
    assert server.calls == []


class TestRuns:
    """A run is found by its name, or created, and then belongs to every new row."""

    def test_a_new_run_is_created(self, server, channel):
        """With description, organization and tags; rows carry its id until it is detached."""
        service = IngestionService(channel, telemetry_config())
        server.calls.clear()
        service.attach_run(channel, "hot fire", "first", "weyland", ["engine"])
        service.try_ingest_flows(log_row())
        service.detach_run()
        service.try_ingest_flows(log_row())
        listing, creation = (call.request for call in server.calls[:2])
        assert (listing.filter, listing.page_size) == ('name=="hot fire"', 1)
        assert (creation.name, creation.description) == ("hot fire", "first")
        assert (creation.organization_id, list(creation.tags)) == ("weyland", ["engine"])
        assert [row.run_id for row in server.rows] == ["run-1", ""]
        assert service.run_id is None

    def test_an_existing_run_is_taken_as_it_is(self, server, channel):
        """Found by its exact name, whatever characters that has."""
        service = IngestionService(channel, telemetry_config())
        server.runs["run-7"] = 'the "last" one'
        service.attach_run(channel, 'the "last" one', description="ignored")
        assert service.run_id == "run-7"
        assert "CreateRun" not in server.methods

    @pytest.mark.parametrize("tags", ["abc", ["a", 5], 5])
    def test_tags_are_a_list_of_texts(self, server, channel, tags):
        """Or nothing is called; a text is no list of its letters."""
        service = IngestionService(channel, telemetry_config())
        server.calls.clear()
        with pytest.raises(IngestionValidationError, match=r"run 'hot fire': .*'tags' must be a"):
            service.attach_run(channel, "hot fire", tags=tags)
        assert server.calls == []
        assert service.run_id is None

    def test_a_failed_attach_changes_nothing(self, server, channel):
        """Rows stay in the run in which they were."""
        service = IngestionService(channel, telemetry_config(), run_id="run-1")
        server.fail("CreateRun", grpc.StatusCode.INTERNAL)
        with pytest.raises(grpc.RpcError):
            service.attach_run(channel, "other")
        assert service.run_id == "run-1"
