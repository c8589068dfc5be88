"""What must hold for whatever is decoded, by kernels that are compiled or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sift_wire.block import RowBlock
from sift_wire.decode import _Asked, decode, decode_understood
from sift_wire.frames import Frames
from sift_wire.kernels import gather_bytes
from support.decoding import KnownFlow, expected_row, index_of, layout_of, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sift_wire.columns import FlowRows

Blocks = Sequence[RowBlock[KnownFlow]]

INDEX = index_of(layout_of)


def decode_all(frames: Frames) -> tuple[Blocks, list[int]]:
    """Decode all messages, also those behind one that ends its stream."""
    blocks: list[RowBlock[KnownFlow]] = []
    rejected: list[int] = []
    at = 0
    while at < len(frames):
        decoded = decode(frames.select(at, len(frames)), INDEX)
        blocks += decoded.blocks
        rejected += [at + message.index for message in decoded.rejected]
        at += decoded.n_messages
    return blocks, rejected


def assert_surroundings_do_not_matter(frames: Frames, elsewhere: Frames) -> None:
    blocks, misfits = decode_understood(frames, _Asked(INDEX), INDEX)
    other_blocks, other_misfits = decode_understood(elsewhere, _Asked(INDEX), INDEX)
    assert misfits == other_misfits
    assert list(parts_of(blocks)) == list(parts_of(other_blocks))


def assert_as_the_library(frames: Frames, blocks: Blocks, rejected: Sequence[int]) -> None:
    messages = [frames.message(index) for index in range(len(frames))]
    expected = [expected_row(message) for message in messages]
    taken = {index for index, row in enumerate(expected) if row is not None}
    disagreed = taken ^ (set(range(len(messages))) - set(rejected))
    assert not disagreed, [messages[index].hex() for index in sorted(disagreed)]
    rows = sorted(rows_of(blocks), key=repr)
    expected_rows = sorted((row for row in expected if row is not None), key=repr)
    for row, expected_one in zip(rows, expected_rows, strict=True):
        assert row == expected_one


def assert_the_small_kernels_agree(frames: Frames, blocks: Blocks) -> None:
    """Those that cut frames, and the one that gathers strings, against what Python does."""
    messages = [frames.message(index) for index in range(len(frames))]
    framed = Frames.from_messages(messages)
    assert [framed.message(index) for index in range(len(framed))] == messages
    for rows in _groups(blocks):
        heap = np.frombuffer(rows.heap, np.uint8)
        for words, data_type in zip(rows.words, rows.layout.data_types, strict=True):
            if data_type.is_variable_width:
                extents = [(word >> 32, word & 0xFFFFFFFF) for word in words.tolist()]
                expected = b"".join(rows.heap[at : at + length] for at, length in extents)
                out = np.empty(len(expected), np.uint8)
                gather_bytes(heap, words, out)
                assert out.tobytes() == expected


def _groups(blocks: Blocks) -> Iterator[FlowRows]:
    for block in blocks:
        yield from map(block.rows, range(len(block)))


def parts_of(blocks: Blocks) -> Iterator[bytes]:
    """Everything in blocks, as bytes."""
    for block in blocks:
        for group in range(len(block)):
            rows = block.rows(group)
            config = block.flow(group).ingestion_config_id
            yield f"{config}|{rows.layout.flow_name}|{rows.run_id}".encode()
            yield rows.timestamps_ns.tobytes()
            yield np.where(rows.present, rows.words, 0).tobytes()
            yield rows.present.tobytes()
        yield block.heap
