"""Writes tests/data/wire_vectors.json, the test vectors every implementation of the wire format shares.

Run `python -m support.wire_vectors` in tests/ after a deliberate change of the format, which also needs a new
PROTOCOL_VERSION. The file holds

    protocol   the version
    messages   name, type, fields (JSON; bytes as {"hex": ...}, numbers that JSON lacks as texts), tensors (name, dtype,
               shape, hex), joined (hex of codec.join) and frame (hex of that in a frame with its delimiter)
    spikes     elements, positions of those that are 1.0, coding, and the part in hex
    frames     payload and frame, for frames alone: zeros, long runs without zeros
    damaged    frames that must be refused, and why
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from edgebll.kernel.support.plain_dataclasses import to_plain
from edgebll.kernel.wire import MESSAGE_TYPES, PROTOCOL_VERSION, Message
from edgebll.kernel.wire.codec import encode, join
from edgebll.kernel.wire.serial_frames import encode_frame
from edgebll.kernel.wire.spike_coding import pack
from support.messages import example_messages

PATH = Path(__file__).parents[1] / "data" / "wire_vectors.json"


def make_vectors() -> dict[str, Any]:
    """Content of the file."""
    return {
        "protocol": PROTOCOL_VERSION,
        "numbers": {cls.__name__: number for number, cls in MESSAGE_TYPES.items()},
        "messages": [_vector(name, message) for name, message in example_messages().items()],
        "spikes": [_spikes(elements, positions) for elements, positions in _SPIKES],
        "frames": [{"payload": payload.hex(), "frame": encode_frame(payload).hex()} for payload in _PAYLOADS],
        "damaged": _damaged(),
    }


_PAYLOADS = [b"", b"\x00", b"\x01", b"\x00" * 5, bytes(range(256)), b"\xff" * 253, b"\x01" * 250, b"\x01" * 254, b"\x02" * 600]


_SPIKES: list[tuple[int, list[int]]] = [
    *[(300, []), (300, [0, 1, 299]), (2056, [127, 256, 2055]), (65536, [16383, 40000])],
    *[(301, list(range(0, 301, 3))), (256, list(range(256)))],
]


def _spikes(elements: int, positions: list[int]) -> dict[str, Any]:
    value = np.zeros(elements, np.float32)
    value[positions] = 1.0
    packed = pack(value.view(np.uint8).data)
    assert packed is not None
    return {"elements": elements, "positions": positions, "coding": packed[0], "hex": packed[1].hex()}


def _damaged() -> list[dict[str, str]]:
    frame = encode_frame(b"\x11\x00\x22\x33")
    flipped = bytes([*frame[:3], frame[3] ^ 0x10, *frame[4:]])
    return [
        {"frame": flipped.hex(), "why": "a flipped bit: the CRC-32 differs"},
        {"frame": (frame[:-2] + b"\x00").hex(), "why": "the last byte is missing: a COBS block is cut off"},
        {"frame": b"\x03\x41\x42\x00".hex(), "why": "too short for a CRC-32"},
        {"frame": b"\x05\x01\x02\x00".hex(), "why": "a COBS block reaches past the end"},
    ]


def _vector(name: str, message: Message) -> dict[str, Any]:
    joined = join(encode(message))
    fields = {key: _json(to_plain(value)) for key, value in vars(message).items() if key != "tensors"}
    tensors = [
        {"name": key, "dtype": value.dtype.name, "shape": list(value.shape), "hex": value.tobytes().hex()}
        for key, value in message.tensors.items()
    ]
    return {
        "name": name,
        "type": type(message).__name__,
        "fields": fields,
        "tensors": tensors,
        "joined": joined.hex(),
        "frame": encode_frame(joined).hex(),
    }


def _json(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list):
        return [_json(item) for item in value]
    if isinstance(value, dict):
        return {key: _json(item) for key, item in value.items()}
    return value


if __name__ == "__main__":
    PATH.write_text(json.dumps(make_vectors(), indent=1, allow_nan=False) + "\n")
