"""One message of every type, with every kind of field used, and a way to compare messages with their tensors."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from edgebll.kernel.spec.file_entry import FileEntry
from edgebll.kernel.wire import (
    EVAL,
    TRAIN,
    Assign,
    Capabilities,
    Failure,
    FilePiece,
    Hello,
    Leaving,
    LinkProbe,
    Message,
    Neighbour,
    Offer,
    Ping,
    Pong,
    Progress,
    Reach,
    Reached,
    Ready,
    Report,
    State,
    Stop,
    Stopped,
    Survey,
    Surveyed,
    Token,
    Want,
    Welcome,
)


def example_messages() -> dict[str, Message]:
    """Name -> message; at least one of every type. The same every time."""
    x = np.arange(6, dtype=np.float32).reshape(2, 3) / 4 - np.float32(0.5)
    y = np.eye(2, dtype=np.float32)
    state: dict[str, np.ndarray[Any, Any]] = {
        "w": x.T.copy(),
        "half": np.array([1.5, -2.0], np.float16),
        "steps": np.array(258, np.int64),
        "seen": np.array([1, -1], np.int32),
        "bytes": np.array([0, 127, 255], np.uint8),
        "mask": np.array([[True], [False]]),
        "empty": np.zeros((0, 3), np.float32),
    }
    key = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
    digests = ("00" * 32, "ff" * 32)
    return {
        "token-train": Token("r1", "block0", TRAIN, 7, 7, 0, {"lr": 0.125}, tensors={"x": x, "y": y}),
        "token-eval": Token("r1", "block1", EVAL, 70000, 300, 2, tensors={"x": x, "y": y}),
        "token-side": Token("r1", "block0", TRAIN, 9, 8, source="block2", tensors={"table": x, "mask": state["mask"]}),
        "token-snapshot": Token("r1", "block0", "SNAPSHOT", 128, 128),
        "token-end": Token("r1", "block0", "END", 1 << 40, 1 << 40),
        "hello": Hello("r1", 1, "0.1.0"),
        "welcome": Welcome(
            "orin-1", 1, "0.1.0", "tcp://127.0.0.1:7201", 6, 8 << 30, ("reference",), "3.10.12", "aarch64", "5" * 32
        ),
        "welcome-limited": Welcome(
            *("pi-1", 1, "0.1.0", "tcp://127.0.0.1:7201", 4, 8 << 30, ("reference",), "3.10.12", "aarch64", "6" * 32),
            *(300 << 20, "the control group /sys/fs/cgroup/edgebll", 200 << 20, "7" * 16, 0.5, ("block0",), 2),
        ),
        "welcome-serial": Welcome(
            *("pi-2", 1, "0.1.0", "tcp://127.0.0.1:7201", 4, 8 << 30, ("serial",), "3.10.12", "aarch64"),
            microcontrollers={"/dev/ttyACM0": 120032, "/dev/ttyUSB0@921600": 0},
        ),
        "offer": Offer("r1", b'{"format_version": 1}', ("block0/step.onnx", "block0/forward.onnx")),
        "offer-snapshot": Offer("r1", b"{}", (), {"block0.safetensors": FileEntry(digests[1], 1 << 33)}, incarnation=3),
        "want": Want("r1", digests),
        "want-nothing": Want("r1", ()),
        "file-piece": FilePiece(digests[1], 1 << 20, (1 << 20) + 5, b"\x00\x01\x00\xff\x00"),
        "assign": Assign(
            "r1", ("block0", "block1"), {"block2": "tcp://10.0.0.2:7201"}, {"block2": key}, (key,), "onnxruntime", 2
        ),
        "assign-serial": Assign("r1", ("block0",), {}, {}, (), "serial", 1, port="/dev/ttyACM0"),
        "ready": Ready("r1", 0.5),
        "progress": Progress("r1", "still building block0/step.onnx: 35 s so far"),
        "ping": Ping(123456789012345),
        "pong": Pong(123456789012345, 987654321098765, True),
        "report": Report("r1", "block0", TRAIN, 7, 7, {"loss": 1.5, "accuracy": -0.0}, 10**15, 10**15 + 12345),
        "report-not-finite": Report("r1", "block0", TRAIN, 8, 8, {"loss": float("inf")}, 0, 1),
        "state": State("r1", "block0", 129, 128, False, tensors=state),
        "failure": Failure("r1", 3, "block0 came 3 µs late; send it again (≥ 1 s)"),
        "leaving": Leaving("r1", 19.5, incarnation=2),
        "stop": Stop("r1"),
        "stopped": Stopped("r1"),
        "survey": Survey("r1", (key,), incarnation=1),
        "surveyed": Surveyed("r1", 1.75e9, 9 << 30, 0.25, {"numpy": "2.1.0", "onnxruntime": "1.22.0"}, incarnation=1),
        "reach": Reach("r1", (Neighbour("orin-2", ("tcp://10.0.0.2:7201", "tcp://orin-2:7201"), key),), 1 << 18, 3.0),
        "reach-plain": Reach("r1", (Neighbour("b", ("tcp://127.0.0.1:7201",)),), 1, 0.5),
        "reached": Reached("r1", "orin-2", "tcp://orin-2:7201", "10.0.0.2", 0.00025, 1.25e8),
        "reached-not": Reached("r1", "b", "tcp://127.0.0.1:7201", problem="nothing listens there"),
        "link-probe": LinkProbe(tensors={"bytes": np.zeros(5, np.uint8)}),
        **_of_spikes(),
    }


def _of_spikes() -> dict[str, Message]:
    return {
        "assign-spikes": Assign("r1", ("block0",), {"block1": "tcp://10.0.0.2:7201"}, {}, (), "numpy", 1, spikes=("block1",)),
        "report-traffic": Report("r1", "b", TRAIN, 8, 8, {}, 0, 1, sent_bytes=1040, unpacked_bytes=32768),
        "capabilities": Capabilities("r1", ("spikes", "x" * 300), incarnation=1),
    }


def same(a: Message, b: Message) -> bool:
    """Whether two messages are equal to the last bit, tensors included."""
    if type(a) is not type(b) or a.tensors.keys() != b.tensors.keys():
        return False
    fields = [field.name for field in dataclasses.fields(a) if field.name != "tensors"]
    tensors = ((a.tensors[name], b.tensors[name]) for name in a.tensors)
    return all(repr(getattr(a, name)) == repr(getattr(b, name)) for name in fields) and all(
        p.dtype == q.dtype and p.shape == q.shape and p.tobytes() == q.tobytes() for p, q in tensors
    )
