"""What a block is, said without torch: tensors, blocks, edges and the manifest that ties them together."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from edgebll.kernel.errors import BundleError
from edgebll.kernel.spec.edge_check import HOST, EdgeSpec, check_edges, is_chain
from edgebll.kernel.spec.file_entry import FileEntry
from edgebll.kernel.spec.recompute import check_recompute
from edgebll.kernel.spec.time_chunks import check_chunks

#: Version of the bundle format this release writes and reads.
FORMAT_VERSION = 1
#: dtypes a tensor of a bundle or message may have.
DTYPES = ("float32", "float16", "int64", "int32", "uint8", "bool")
MAX_RANK, MAX_NAME_CHARS = 8, 200
MAX_TENSOR_BYTES = 1 << 30
MAX_BLOCKS, MAX_EDGES, MAX_FILES = 1024, 8192, 8192
#: What the training step appends to a state tensor's name for its updated value.
NEXT = ".next"

_BLOCK_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True)
class TensorSpec:
    """Name, dtype and static shape of a tensor.

    Raises:
        BundleError: the dtype is not in DTYPES, or name, rank or size exceed their caps.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if not 0 < len(self.name) <= MAX_NAME_CHARS:
            raise BundleError(f"a tensor name must have 1 to {MAX_NAME_CHARS} characters, not {len(self.name)}")
        if self.dtype not in DTYPES:
            raise BundleError(f"tensor {self.name!r} has dtype {self.dtype[:40]!r}; known are {', '.join(DTYPES)}")
        if len(self.shape) > MAX_RANK or any(size < 0 for size in self.shape):
            raise BundleError(f"tensor {self.name!r} has shape {self.shape[:9]}; at most {MAX_RANK} sizes of 0 or more fit")
        # A size of 0 must not hide others that no array can have.
        if math.prod(max(1, size) for size in self.shape) * np.dtype(self.dtype).itemsize > MAX_TENSOR_BYTES:
            raise BundleError(f"tensor {self.name!r} has shape {self.shape}; the cap is {MAX_TENSOR_BYTES} bytes")

    @cached_property
    def size_bytes(self) -> int:
        """Bytes of the tensor's data."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    def check(self, value: np.ndarray[Any, Any], where: str) -> None:
        """Raise BundleError unless `value` has this dtype and shape."""
        if value.dtype.name != self.dtype or tuple(value.shape) != self.shape:
            raise BundleError(
                f"{where}: {self.name!r} must be {self.dtype}{list(self.shape)}, "
                f"but is {value.dtype.name}{list(value.shape)}; export the bundle again"
            )


@dataclass(frozen=True)
class BlockSpec:
    """One block's signature: the training step (state, x, y, scalars) -> (state', a, metrics) and the two smaller graphs.

    Attributes:
        name: lower-case identifier, e.g. "block0"; also its folder in the bundle.
        input: x, shape (B, ...).
        output: a, shape (B, ...).
        labels: y, the task's target: for classification one-hot float32, shape (B, num_classes), or (B, T, num_classes) with a
            class for each of T positions.
        state: every tensor the step reads and returns; the step's output for `t` is named `t + NEXT`.
        scalars: names of the step's float32 scalar inputs, e.g. ("lr",).
        metrics: names of the entries of the step's float32 output vector "metrics"; none where nothing trains: such a
            step has no output "metrics", and takes y only if it has a feedback head.
        forward_state: state tensors that forward.onnx takes besides x.
        feedback_state: the same for feedback.onnx.
        beta: output of feedback.onnx, or None where the rule has no feedback head.
        output_role: "logits" if a is what the task judges (last block), for classification class scores, else "activation".
        received: inputs of the step that other blocks send, each named by `received_name`, e.g. "block1.table", and those of
            the sample besides x by their own names, which forward.onnx takes too, see `edgebll.kernel.spec.side_inputs`.
        sent: outputs of the step for other blocks, besides a.
        chunks: training steps that a sample takes, which is cut in time for them, see `edgebll.kernel.spec.time_chunks`.
        static: whether x has no axis of time and so is not cut.
    """

    name: str
    input: TensorSpec
    labels: TensorSpec
    output: TensorSpec
    state: tuple[TensorSpec, ...]
    scalars: tuple[str, ...]
    metrics: tuple[str, ...]
    forward_state: tuple[str, ...]
    feedback_state: tuple[str, ...] = ()
    beta: TensorSpec | None = None
    output_role: str = "activation"
    received: tuple[TensorSpec, ...] = ()
    sent: tuple[TensorSpec, ...] = ()
    chunks: int = 1
    static: bool = False

    def __post_init__(self) -> None:
        if not _BLOCK_NAME.fullmatch(self.name) or self.name == HOST:
            raise BundleError(f"a block name must be a short lower-case identifier other than {HOST!r}, not {self.name!r}")
        known = {tensor.name for tensor in self.state}
        if len(known) != len(self.state):
            raise BundleError(f"{self.name}: two state tensors share a name")
        told = [tensor.name for tensor in (*self.received, *self.sent)]
        taken = {*known, *(name + NEXT for name in known), *self.scalars, "x", "y", "a", "metrics", "beta"}
        if len(set(told)) != len(told) or not taken.isdisjoint(told):
            raise BundleError(f"{self.name}: of what it receives and sends ({', '.join(told)}) a name is taken already")
        check_chunks(self)
        stray = (set(self.forward_state) | set(self.feedback_state)) - known
        if stray:
            raise BundleError(f"{self.name}: graphs name the state tensor {min(stray)!r}, which the state does not have")

    @property
    def graphs(self) -> tuple[str, ...]:
        """Names of the block's graphs: "forward", "step" and, with a feedback head, "feedback"."""
        return ("forward", "feedback", "step") if self.beta is not None else ("forward", "step")

    @property
    def takes_labels(self) -> bool:
        """Whether the step has the input y; it is the forward pass alone where there is nothing to train."""
        return bool(self.metrics) or self.beta is not None

    @property
    def state_bytes(self) -> int:
        """Bytes of one copy of the state."""
        return sum(tensor.size_bytes for tensor in self.state)


@dataclass(frozen=True)
class Manifest:
    """What manifest.json holds.

    Attributes:
        format_version: FORMAT_VERSION of the writer.
        network: name and options, for people and for re-export.
        rule: name and options, for people and for re-export too.
        optimizer: name and options; its peak learning rate is among them.
        recipe: defaults of lr, schedule and warmup_steps for a run of the bundle.
        target: what the graphs are exported for, e.g. "onnx" or "tensorrt-8.6".
        precision: numbers the graphs compute in, e.g. "float32".
        batch_size: samples of every training step.
        num_classes: classes of the network's last block; where the task has none, the numbers it gives.
        input_shape: of one sample of the first block, without the batch axis.
        blocks: in stream order.
        edges: all streams.
        golden_steps: number of consecutive steps golden.safetensors records per block; 0 if the bundle has none.
        files: relative path -> FileEntry of every file but manifest.json.
        versions: tool -> version that took part in the export.
        task: name and options of what the network is for, see `edgebll.kernel.tasks`; empty for classification without options.
        recompute: block -> activations that a microcontroller computes again, not keeps, at most; else all that save memory.
    """

    format_version: int
    network: dict[str, Any]
    rule: dict[str, Any]
    optimizer: dict[str, Any]
    recipe: dict[str, Any]
    batch_size: int
    num_classes: int
    input_shape: tuple[int, ...]
    blocks: tuple[BlockSpec, ...]
    edges: tuple[EdgeSpec, ...]
    golden_steps: int = 0
    files: dict[str, FileEntry] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    target: str = "onnx"
    precision: str = "float32"
    task: dict[str, Any] = field(default_factory=dict)
    recompute: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check_counts()
        names = [block.name for block in self.blocks]
        if not names or len(set(names)) != len(names):
            raise BundleError(f"a bundle needs blocks with different names, not {names[:8]}")
        for edge in self.edges:
            stray = {edge.source, edge.target} - {*names, HOST}
            if stray:
                raise BundleError(f"an edge names the block {min(stray)!r}, which the bundle does not have")
        check_recompute(self.recompute, names)
        check_edges(self.edges, self.blocks)
        self._check_states()

    def _check_counts(self) -> None:
        """Before anything is done with each of them."""
        counts = (("blocks", self.blocks, MAX_BLOCKS), ("edges", self.edges, MAX_EDGES), ("files", self.files, MAX_FILES))
        for what, held, cap in counts:
            if len(held) > cap:
                raise BundleError(f"a bundle with {len(held)} {what} cannot be; the cap is {cap}")
        if len(self.input_shape) >= MAX_RANK or min(self.batch_size, self.num_classes, *self.input_shape) < 1:
            raise BundleError("batch_size, num_classes and the sizes of input_shape must be at least 1, of few axes")
        if self.golden_steps < 0:
            raise BundleError(f"golden_steps must be at least 0, not {self.golden_steps}")

    def _check_states(self) -> None:
        """Boards take memory for a block's state before they read its file, so the file must have what is announced."""
        for block in self.blocks:
            entry = self.files.get(f"{block.name}/state.safetensors")
            if entry is not None and entry.size_bytes < block.state_bytes:
                raise BundleError(
                    f"{block.name} has a state of {block.state_bytes} bytes, but its file has {entry.size_bytes} bytes"
                )

    def side_streams(self, target: str) -> tuple[EdgeSpec, ...]:
        """Edges into a block besides the chain, in the order of `edges`."""
        return tuple(edge for edge in self.edges if edge.target == target and not is_chain(edge))

    def side_streams_from(self, source: str) -> tuple[EdgeSpec, ...]:
        """Edges out of a block besides the chain, in the order of `edges`."""
        return tuple(edge for edge in self.edges if edge.source == source and not is_chain(edge))

    def next_block(self, name: str) -> str | None:
        """Name of the block that follows along the chain, None for the last."""
        return next((edge.target for edge in self.edges if edge.source == name and is_chain(edge)), None)

    def targets(self, name: str) -> tuple[str, ...]:
        """Names of all blocks that a block sends to."""
        return tuple(dict.fromkeys(edge.target for edge in self.edges if edge.source == name))

    def block(self, name: str) -> BlockSpec:
        """Return the block called `name`; raises BundleError where there is none."""
        for block in self.blocks:
            if block.name == name:
                return block
        raise BundleError(f"there is no block {name!r}; the bundle has {', '.join(b.name for b in self.blocks)}")
