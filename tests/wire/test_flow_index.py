"""Flows are found by name, and get their numbers, whoever asks meanwhile."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from sift.ingest.v1.ingest_pb2 import IngestWithConfigDataStreamRequest as Request
from sift_wire.columns import DataType, FlowLayout
from sift_wire.decode import decode
from sift_wire.flow_index import FlowIndex, UnknownFlowError
from sift_wire.frames import Frames
from support.decoding import KnownFlow

FLOWS = 500


def find(config: str, flow: str) -> KnownFlow:
    channels = int(flow.rpartition(" ")[2]) % 7
    names = tuple(map(str, range(channels)))
    return KnownFlow(config, FlowLayout(flow, names, (DataType.DOUBLE,) * channels))


def frames_of(names: list[tuple[str, str]]) -> Frames:
    messages = []
    for config, flow in names:
        request = Request(ingestion_config_id=config, flow=flow)
        request.timestamp.seconds = 1
        for _ in find(config, flow).layout.channel_names:
            request.channel_values.add().double = 1.0
        messages.append(request.SerializeToString())
    return Frames.from_messages(messages)


def test_flows_are_found_while_others_are_added():
    """Many threads decode messages of flows that are new to the index, each in another order."""
    index = FlowIndex(find)
    names = [(f"config {number % 3}", f"flow {number}") for number in range(FLOWS)]

    def decode_all(thread: int) -> None:
        turned = names[thread * 50 :] + names[: thread * 50]
        for at in range(0, FLOWS, 25):
            part = turned[at : at + 25]
            (block,) = decode(frames_of(part), index).blocks
            assert [
                (flow.ingestion_config_id, flow.layout.flow_name)
                for flow in map(block.flow, range(len(block)))
            ] == part

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(decode_all, range(8)))
    assert len(index.flows) == FLOWS


def test_a_name_is_not_mistaken_for_another_with_the_same_letters():
    """Config and flow lie one behind the other in the index."""
    index = FlowIndex(find)
    names = [("ab", "c 1"), ("a", "bc 1"), ("", "abc 1")]
    (block,) = decode(frames_of(names), index).blocks
    assert [block.flow(group).ingestion_config_id for group in range(3)] == ["ab", "a", ""]


def test_that_a_flow_is_unknown_is_asked_again():
    """It may be created at any moment."""
    known: dict[str, KnownFlow] = {}

    def find_known(config: str, flow: str) -> KnownFlow:
        try:
            return known[flow]
        except KeyError:
            raise UnknownFlowError(flow) from None

    index = FlowIndex(find_known)
    frames = frames_of([("config", "flow 1")])
    assert decode(frames, index).rejected
    with pytest.raises(UnknownFlowError):
        index.flow("config", "flow 1")
    known["flow 1"] = find("config", "flow 1")
    assert not decode(frames, index).rejected
