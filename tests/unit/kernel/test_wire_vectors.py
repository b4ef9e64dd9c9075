"""The test vectors in tests/data/wire_vectors.json, both ways. The file also checks other implementations of the format."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from support.messages import example_messages, same
from support.wire_vectors import PATH, make_vectors

from edgebll.kernel.errors import WireError
from edgebll.kernel.wire import MESSAGE_TYPES
from edgebll.kernel.wire.codec import decode, encode, join, split
from edgebll.kernel.wire.serial_frames import FrameDecoder, decode_frame, encode_frame
from edgebll.kernel.wire.spike_coding import check_size, pack, unpack

_FILE: dict[str, Any] = json.loads(PATH.read_text())


def test_the_file_is_what_this_code_writes() -> None:
    assert make_vectors() == _FILE


def test_every_message_type_has_a_vector() -> None:
    assert {vector["type"] for vector in _FILE["messages"]} == {cls.__name__ for cls in MESSAGE_TYPES.values()}
    assert {vector["name"] for vector in _FILE["messages"]} == set(example_messages())


@pytest.mark.parametrize("vector", _FILE["messages"], ids=lambda vector: vector["name"])
def test_messages_both_ways(vector: dict[str, Any]) -> None:
    message = example_messages()[vector["name"]]
    joined, frame = bytes.fromhex(vector["joined"]), bytes.fromhex(vector["frame"])
    assert join(encode(message)) == joined
    assert encode_frame(joined) == frame
    assert FrameDecoder().feed(frame) == [joined]
    assert same(decode(split(joined)), message)


@pytest.mark.parametrize("vector", _FILE["spikes"], ids=lambda vector: f"{len(vector['positions'])} of {vector['elements']}")
def test_spikes_both_ways(vector: dict[str, Any]) -> None:
    part = bytes.fromhex(vector["hex"])
    check_size(vector["coding"], vector["elements"], len(part))
    value = unpack(vector["coding"], part, vector["elements"])
    assert value.nonzero()[0].tolist() == vector["positions"]
    assert pack(value.view(np.uint8).data) == (vector["coding"], part)


@pytest.mark.parametrize("vector", _FILE["frames"], ids=lambda vector: f"{len(vector['payload']) // 2} bytes")
def test_frames_both_ways(vector: dict[str, str]) -> None:
    payload, frame = bytes.fromhex(vector["payload"]), bytes.fromhex(vector["frame"])
    assert encode_frame(payload) == frame
    assert decode_frame(frame[:-1]) == payload
    assert frame.count(0) == 1


@pytest.mark.parametrize("vector", _FILE["damaged"], ids=lambda vector: vector["why"])
def test_damaged_frames_are_refused(vector: dict[str, str]) -> None:
    frame = bytes.fromhex(vector["frame"])
    with pytest.raises(WireError):
        decode_frame(frame[:-1])
    decoder = FrameDecoder()
    assert decoder.feed(frame + encode_frame(b"next")) == [b"next"]
    assert decoder.damaged == 1
