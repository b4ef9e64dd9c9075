"""ONNX Runtime on the processor. The state stays in two sets of buffers that swap roles every step: A -> B, then B -> A."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime

from edgebll.kernel.bundle import Bundle, check_state
from edgebll.kernel.errors import BoardError, BundleError, ConfigError
from edgebll.kernel.execution.block_runtime import BlockRuntime, Tensor, Trained
from edgebll.kernel.limits import usable_processors
from edgebll.kernel.spec.manifest import NEXT, BlockSpec, TensorSpec
from edgebll.kernel.state.block_state import Array, State
from edgebll_devices.runtimes.aligned_arrays import empty_aligned, is_ready
from edgebll_devices.runtimes.graph_signature import Signature, check_signature, signature

_log = logging.getLogger(__name__)

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
}
Tensors = Mapping[str, Tensor]
#: Bytes of a block that is still small.
_SMALL = 1 << 20
_FATAL_ONLY = 4  # every error comes back as an exception too, and the log would go to stderr beside our sentence


class OrtBlock(BlockRuntime):
    """A block on ONNX Runtime; build it with `load_block`."""

    def __init__(self, bundle: Bundle, block: str, *, threads: int = 1) -> None:
        self.spec = bundle.manifest.block(block)
        _warn_of_cap(threads)
        sessions = {graph: load_session(bundle, self.spec, graph, threads) for graph in self.spec.graphs}
        self._scalars = {name: empty_aligned(TensorSpec(name, "float32", ())) for name in self.spec.scalars}
        self._metrics = empty_aligned(TensorSpec("metrics", "float32", (len(self.spec.metrics),)))
        first, second = ({t.name: empty_aligned(t) for t in self.spec.state} for _ in range(2))
        self._now = self._side(sessions, first, second)
        self._then = self._side(sessions, second, first)
        self.load_state(bundle.state(block))

    def _side(
        self, sessions: Mapping[str, onnxruntime.InferenceSession], here: dict[str, Tensor], there: dict[str, Tensor]
    ) -> _Side:
        updated = {name + NEXT: value for name, value in there.items()}
        return _Side(
            state=here,
            step=_BoundGraph(sessions["step"], {**here, **self._scalars}, {**updated, "metrics": self._metrics}),
            forward=_BoundGraph(sessions["forward"], {name: here[name] for name in self.spec.forward_state}, {}),
            feedback=_BoundGraph(sessions["feedback"], {name: here[name] for name in self.spec.feedback_state}, {})
            if "feedback" in sessions
            else None,
        )

    def train(
        self, x: Tensor, y: Tensor, scalars: Mapping[str, float], received: Mapping[str, Tensor] | None = None
    ) -> Trained:
        """See BlockRuntime."""
        self._check("x", x, self.spec.input)
        self._check("y", y, self.spec.labels)
        for name, buffer in self._scalars.items():
            buffer[...] = self._scalar(name, scalars)
        step = self._now.step
        step.bind_input("x", x)
        step.bind_input("y", y)
        for name, value in self._received(received).items():
            step.bind_input(name, value)
        a = step.bind_output("a", self.spec.output)
        sent = {tensor.name: step.bind_output(tensor.name, tensor) for tensor in self.spec.sent}
        self._run(step, "a training step")
        self._now, self._then = self._then, self._now
        a.flags.writeable = False
        for value in sent.values():
            value.flags.writeable = False
        return a, dict(zip(self.spec.metrics, self._metrics.tolist(), strict=True)), sent

    def evaluate(self, x: Tensor) -> Tensor:
        """See BlockRuntime."""
        self._check("x", x, self.spec.input)
        return self._apply(self._now.forward, "x", x, "a", self.spec.output)

    def feedback(self, y: Tensor) -> Tensor:
        """See BlockRuntime."""
        if self.spec.beta is None or self._now.feedback is None:
            raise ConfigError(f"{self.spec.name} has no feedback head; the rule of this bundle does not use one")
        self._check("y", y, self.spec.labels)
        return self._apply(self._now.feedback, "y", y, "beta", self.spec.beta)

    def _apply(self, graph: _BoundGraph, name: str, value: Tensor, output: str, tensor: TensorSpec) -> Tensor:
        graph.bind_input(name, value)
        result = graph.bind_output(output, tensor)
        self._run(graph, "an evaluation")
        result.flags.writeable = False
        return result

    def _run(self, graph: _BoundGraph, what: str) -> None:
        try:
            graph.run()
        except Exception as error:  # ONNX Runtime's exceptions have no base of their own
            raise BoardError(f"{self.spec.name}: ONNX Runtime failed in {what} ({first_line(error)})") from error

    def state(self) -> dict[str, Array]:
        """See BlockRuntime."""
        return {name: value.copy() for name, value in self._now.state.items()}

    def load_state(self, state: State) -> None:
        """See BlockRuntime."""
        check_state(self.spec, state, self.spec.name)
        for name, buffer in self._now.state.items():
            buffer[...] = state[name]

    def close(self) -> None:
        """See BlockRuntime."""
        self.__dict__.pop("_now", None)
        self.__dict__.pop("_then", None)


@dataclass(frozen=True)
class _Side:
    """One set of state buffers and the graphs that read it; `step` writes the other side's set."""

    state: dict[str, Tensor]
    step: _BoundGraph
    forward: _BoundGraph
    feedback: _BoundGraph | None


class _BoundGraph:
    """A session with a binding of its own, whose fixed inputs and outputs were bound once."""

    def __init__(self, session: onnxruntime.InferenceSession, inputs: Tensors, outputs: Tensors) -> None:
        self._session = session
        self._binding = session.io_binding()
        self._held: dict[str, Tensor] = {}  # what is bound must outlive the run
        self._buffers: dict[str, Tensor] = {}
        for name, value in inputs.items():
            self._held[name] = value
            self._binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(value))
        for name, value in outputs.items():
            self._bind_output(name, value)

    def bind_input(self, name: str, value: Tensor) -> None:
        """Bind an array where it lies or, if it is not aligned, a copy in a buffer kept for this."""
        if not is_ready(value):
            if name not in self._buffers:
                self._buffers[name] = empty_aligned(TensorSpec(name, value.dtype.name, value.shape))
            self._buffers[name][...] = value
            value = self._buffers[name]
        self._held[name] = value
        self._binding.bind_cpu_input(name, value)

    def bind_output(self, name: str, tensor: TensorSpec) -> Tensor:
        """Bind a new array and return it."""
        value = empty_aligned(tensor)
        self._bind_output(name, value)
        return value

    def _bind_output(self, name: str, value: Tensor) -> None:
        self._held[name] = value
        self._binding.bind_ortvalue_output(name, onnxruntime.OrtValue.ortvalue_from_numpy(value))

    def run(self) -> None:
        """Compute all outputs."""
        self._session.run_with_iobinding(self._binding)


def load_session(
    bundle: Bundle,
    spec: BlockSpec,
    graph: str,
    threads: int,
    providers: Sequence[Any] = ("CPUExecutionProvider",),
    *,
    record: bool = False,
) -> onnxruntime.InferenceSession:
    """Load a graph so that equal inputs give equal bits.

    Args:
        bundle: which one.
        spec: which one.
        graph: which one.
        threads: of the processor.
        providers: what may compute it, in order of preference: names, or pairs of name and options.
        record: keep which provider computes which node, where ONNX Runtime can (1.24 and newer).

    Raises:
        BundleError: ONNX Runtime refuses the graph, or its inputs and outputs are not those of the block.
    """
    where = f"{bundle.path}/{spec.name}/{graph}.onnx"
    content = bundle.graph(spec.name, graph)
    try:
        options = _options(threads, small=_bytes(spec) <= _SMALL, record=record)
        if graph == "step":  # its constants are 0-1 and transform matrices: packing them makes products slower, and copies them
            options.add_session_config_entry("session.disable_prepacking", "1")
        session = onnxruntime.InferenceSession(content, options, providers=list(providers))
    except Exception as error:  # ONNX Runtime's exceptions have no base of their own
        raise BundleError(f"{where} does not load in ONNX Runtime ({first_line(error)}); export the bundle again") from error
    check_signature(where, signature(spec, graph), Signature(_specs(session.get_inputs()), _specs(session.get_outputs())))
    return session


def _warn_of_cap(threads: int) -> None:
    """Say where there are too many threads for the processors, or OMP_NUM_THREADS keeps ONNX Runtime from starting them."""
    processors = usable_processors()
    if threads > math.ceil(processors):
        _log.warning("%d threads on %g processors wait for each other: steps may take many times as long", threads, processors)
    limit = os.environ.get("OMP_NUM_THREADS", "")
    if limit.isdigit() and 0 < int(limit) < threads:
        _log.warning("OMP_NUM_THREADS=%s keeps ONNX Runtime from using %d threads; unset it", limit, threads)


def _bytes(spec: BlockSpec) -> int:
    """Bytes of a block's state and of what its step takes and gives."""
    tensors = (*spec.state, spec.input, spec.output, *spec.received, *spec.sent)
    return sum(math.prod(tensor.shape) * np.dtype(tensor.dtype).itemsize for tensor in tensors)


def _options(threads: int, *, small: bool, record: bool) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    # One allocation for a whole run saves a tenth of the time of small steps, but comes on top of the pieces of the first run.
    options.enable_mem_pattern = small
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.use_deterministic_compute = True
    options.log_severity_level = _FATAL_ONLY
    # Within a step threads wait awake for the next operator; after it they sleep at once and leave the machine to others.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if record:
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    return options


def _specs(arguments: list[Any]) -> tuple[TensorSpec, ...]:
    """ONNX Runtime's description of inputs or outputs; a size that is not fixed shows as 0, which no spec matches."""
    return tuple(
        TensorSpec(a.name, _DTYPES.get(a.type, a.type), tuple(n if isinstance(n, int) else 0 for n in a.shape))
        for a in arguments
    )


def first_line(error: Exception) -> str:
    """The first line of what an exception says."""
    return (str(error).splitlines() or [type(error).__name__])[0]
