"""Everything that turns bytes from outside into values, as functions of bytes: what tests and fuzzers feed.

Each either returns or raises an EdgebllError; anything else is a bug. `SEEDS` has bytes each accepts, `BOMBS` small ones that
announce much.
"""

from __future__ import annotations

import gzip
import io
import json
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
from safetensors.numpy import save

from edgebll.data.cifar import CIFAR10, load_cifar
from edgebll.data.idx import parse_idx, read_idx
from edgebll.kernel.bundle import MAX_MANIFEST_BYTES, parse_manifest
from edgebll.kernel.bundle.graph_check import check_graph
from edgebll.kernel.bundle.onnx_file import read_model
from edgebll.kernel.keys import load_key_pair, make_key_pair
from edgebll.kernel.keys.allowed_hosts import load_hosts
from edgebll.kernel.pairing.code_exchange import HOST, Side, decode_opening, encode_line
from edgebll.kernel.state.block_state import load_tensors
from edgebll.kernel.state.safetensors_header import MAX_ENTRIES
from edgebll.kernel.support.toml_files import MAX_TOML_BYTES
from edgebll.kernel.wire import PROTOCOL_VERSION, Stop
from edgebll.kernel.wire.codec import MAX_ITEMS, MAX_TEXT_BYTES, decode, encode, join, split
from edgebll.kernel.wire.serial_frames import FrameDecoder, decode_frame, encode_frame
from edgebll.kernel.wire.tensor_parts import MAX_TENSORS
from edgebll_firmware_host.inventory import load_cluster
from support.board_replies import BOARD_REPLIES, board_reply
from support.idx_files import idx_bytes
from support.messages import example_messages
from support.tiny_bundle import make_tiny_bundle

#: Whatever the bytes, a decoder takes at most so much memory beside them.
MEMORY_CAP = 128 << 20
_SCRATCH = Path(tempfile.mkdtemp(prefix="edgebll-decoders-"))


def message(data: bytes) -> None:
    """A whole message of a byte stream."""
    decode(split(data))


def parts(data: bytes) -> None:
    """A header without tensors, as ZeroMQ gives it."""
    decode([data])


def frames(data: bytes) -> None:
    """A serial line, in two pieces."""
    decoder = FrameDecoder(max_payload_bytes=1000)
    for payload in (*decoder.feed(data[:7]), *decoder.feed(data[7:])):
        message(payload)


def frame(data: bytes) -> None:
    """One frame without its delimiter."""
    decode_frame(data)


def manifest(data: bytes) -> None:
    """A manifest.json."""
    parse_manifest(data, "manifest.json")


def graph(data: bytes) -> None:
    """An ONNX file for the reference runtime."""
    read_model(data)


def graph_check(data: bytes) -> None:
    """An ONNX file before any runtime sees it."""
    check_graph(data, "here")


def tensors(data: bytes) -> None:
    """A safetensors file."""
    load_tensors(_file(data))


def idx(data: bytes) -> None:
    """An IDX file, compressed or not."""
    read_idx(_file(data))


def idx_stream(data: bytes) -> None:
    """An IDX file that is a stream."""
    parse_idx(io.BytesIO(data), "here")


def cifar(data: bytes) -> None:
    """A CIFAR file."""
    _file(data, CIFAR10.names[-1])
    load_cifar(CIFAR10, "test", _SCRATCH)


def cluster(data: bytes) -> None:
    """A cluster.toml."""
    load_cluster(_file(data))


def key(data: bytes) -> None:
    """A key file."""
    path = _file(data)
    path.chmod(0o600)
    load_key_pair(path)


def hosts(data: bytes) -> None:
    """A board's file of allowed hosts."""
    path = _file(data)
    path.chmod(0o600)
    load_hosts(path)


def pairing(data: bytes) -> None:
    """A line of somebody who wants to pair."""
    decode_opening(data)


def _file(data: bytes, name: str = "file") -> Path:
    path = _SCRATCH / name
    path.write_bytes(data)
    return path


_BUNDLE = make_tiny_bundle(_SCRATCH / "bundle").path
_MESSAGES = [join(encode(each)) for each in example_messages().values()]
_SPIKES = [(np.arange(512) % every == 0).astype(np.float32) for every in (2, 300)]  # they travel as bits, as events
_CLUSTER = b'[host]\nwindow = 5\n[[board]]\nname = "a"\nendpoint = "tcp://127.0.0.1:7101"\nblocks = ["block1"]\n'
_KEY = make_key_pair()
_IDX = idx_bytes(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))

#: Decoder -> bytes it accepts; of messages one of every type.
SEEDS: dict[Callable[[bytes], None], list[bytes]] = {
    message: [*_MESSAGES, *(join(encode(Stop("r", tensors={"x": x}), spikes=True)) for x in _SPIKES)],
    parts: [bytes(encode(each)[0]) for each in example_messages().values() if not each.tensors],
    frames: [encode_frame(each) for each in _MESSAGES if len(each) < 1000],
    frame: [encode_frame(each)[:-1] for each in _MESSAGES if len(each) < 1000],
    manifest: [(_BUNDLE / "manifest.json").read_bytes()],
    graph: [path.read_bytes() for path in sorted(_BUNDLE.rglob("*.onnx"))],
    graph_check: [path.read_bytes() for path in sorted(_BUNDLE.rglob("*.onnx"))],
    tensors: [(_BUNDLE / "block0" / "state.safetensors").read_bytes(), save({"t": np.zeros((2, 0), np.float16)})],
    idx: [_IDX, gzip.compress(_IDX, mtime=0)],
    idx_stream: [_IDX],
    cifar: [bytes(CIFAR10.record_bytes)],
    cluster: [_CLUSTER],
    hosts: [json.dumps({"hosts": [{"name": "laptop", "public_key": _KEY.public}]}).encode()],
    board_reply: BOARD_REPLIES,
    pairing: [encode_line(Side(HOST, "123456", _KEY.public, "laptop").opening)],
    key: [json.dumps({"public": _KEY.public, "secret": _KEY.secret}).encode()],
}


def header(fields: Any = None, specs: Any = (), version: int = PROTOCOL_VERSION, number: int = 14) -> bytes:
    """A header of any content; as it stands, a Stop."""
    packed: bytes = msgpack.packb([version, number, {"run": "r"} if fields is None else fields, specs])
    return packed


def _tensor_file(head: Any, data: bytes = b"") -> bytes:
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + data


def _field(number: int, content: bytes) -> bytes:
    size, length = len(content), b""
    while size >= 0x80:
        length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def _constant(name: bytes, content: bytes) -> bytes:
    return _field(7, _field(5, _field(8, name) + content)) + _field(8, b"\x10\x11")


_EMPTY_LISTS = b"\xdc" + struct.pack(">H", MAX_TENSORS) + b"\x90" * MAX_TENSORS
_ENTRY = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}

#: Name -> (decoder, bytes, words of the refusal).
BOMBS: dict[str, tuple[Callable[[bytes], None], bytes, str]] = {
    "message: many small lists": (parts, b"\x94" + (b"\xdc\x03\xf0" + _EMPTY_LISTS * 1008), f"more than {MAX_ITEMS} items"),
    "message: many small tables": (
        parts,
        b"\x94" + (b"\xdc\x03\xf0" + _EMPTY_LISTS.replace(b"\x90", b"\x80") * 1008),
        f"more than {MAX_ITEMS} items",
    ),
    "message: a long text": (parts, header({"run": "r" * (MAX_TEXT_BYTES + 1)}), "exceeds max_str_len"),
    "message: a long name": (parts, header(specs=[["n" * (MAX_TEXT_BYTES + 1), "uint8", [0]]]), "exceeds max_str_len"),
    "message: a long list": (parts, header(specs=[[]] * (MAX_TENSORS + 1)), "exceeds max_array_len"),
    "message: much data": (parts, header(specs=[[f"{i}", "uint8", [1 << 30]] for i in range(9)]), "announces more than"),
    "message: many events": (
        parts,
        header(specs=[[c, "float32", [1 << 22], "events", 0] for c in "abcde"]),
        "announces events",
    ),
    "message: an event far away": (
        message,
        join([header(specs=[["x", "float32", [1 << 24], "events", 4]]), b"\x80\x80\x80\x08"]),
        "behind the last",
    ),
    "manifest: too long": (manifest, b" " * (MAX_MANIFEST_BYTES + 1), "bytes a manifest may have"),
    "manifest: many values": (manifest, b"[" + b"[]," * (MAX_MANIFEST_BYTES // 3 - 2) + b"0]", "values a manifest may have"),
    "manifest: nested": (manifest, b"[" * 100_000, "is not JSON"),
    "manifest: a long number": (manifest, b"1" * 1_000_000, "is not JSON"),
    "graph: many empty nodes": (graph, _field(7, b"\x0a\x00" * 500_000) + _field(8, b"\x10\x11"), "fields and numbers"),
    "graph: many packed numbers": (graph, _constant(b"c", _field(7, b"\x01" * 500_000)), "fields and numbers"),
    "graph: many packed floats": (graph, _constant(b"c", _field(4, bytes(4 * 500_000))), "fields and numbers"),
    "graph: a large constant": (graph, _constant(b"c", b"\x08\x80\x80\x80\x80\x10\x10\x01"), "exceeds the cap"),
    "graph: a size behind a 0": (
        graph,
        _constant(b"c", b"\x08\x00\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x10\x01\x4a\x00"),
        "exceeds the cap",
    ),
    "graph: many axes": (graph, _constant(b"c", b"\x08\x01" * 9 + b"\x10\x01\x4a\x00"), "at most 8 sizes"),
    "tensors: a long head": (tensors, struct.pack("<Q", 1 << 40) + bytes(100), "its head has"),
    "tensors: many values": (tensors, _tensor_file(b"[" + b"[]," * 800_000 + b"0]"), "too many values"),
    "tensors: many": (tensors, _tensor_file({str(i): 0 for i in range(MAX_ENTRIES + 1)}), "table of at most"),
    "tensors: nested": (tensors, _tensor_file(b"[" * 100_000), "nested too deeply"),
    "tensors: a long name": (tensors, _tensor_file({"n" * 10_000: _ENTRY}, bytes(4)), "not a named tensor"),
    "tensors: an unknown dtype": (tensors, _tensor_file({"w": {**_ENTRY, "dtype": "O"}}, bytes(4)), "not known"),
    "tensors: many axes": (tensors, _tensor_file({"w": {**_ENTRY, "shape": [1] * 9}}, bytes(4)), "8 axes"),
    "tensors: large": (tensors, _tensor_file({"w": {**_ENTRY, "shape": [1 << 40]}}, bytes(4)), "has more than"),
    "tensors: a size behind a 0": (tensors, _tensor_file({"w": {**_ENTRY, "shape": [0, 1 << 60]}}), "has more than"),
    "tensors: a negative size": (tensors, _tensor_file({"w": {**_ENTRY, "shape": [-1]}}, bytes(4)), "0 or more"),
    "idx: large": (idx, bytes([0, 0, 8, 1]) + struct.pack(">I", 1 << 30), "truncated: 0 of"),
    "idx: larger": (idx, bytes([0, 0, 8, 2]) + b"\xff" * 8, "the cap is"),
    "idx: a size behind a 0": (idx_stream, bytes([0, 0, 8, 3]) + b"\xff" * 8 + bytes(4), "the cap is"),
    "cluster: too long": (cluster, b"#" * (MAX_TOML_BYTES + 1), "the cap is"),
    "cluster: nested": (cluster, b"a = " + b"[" * 100_000, "is not TOML"),
    "cluster: a long number": (cluster, b"a = " + b"1" * 100_000, "4300 digits"),
    "hosts: nested": (hosts, b"[" * 60_000, "is not JSON"),
    "hosts: too long": (hosts, b" " * (1 << 17), "the cap is"),
    "pairing: nested": (pairing, b"[" * 1000, "not edgebll"),
    "pairing: too long": (pairing, b" " * 1025, "the cap is"),
    "key: nested": (key, b"[" * 4000, "is not a key file"),
}
