"""ONNX Runtime on the processor. The state stays in two sets of buffers that swap roles every step: A -> B, then B -> A."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import onnxruntime

from edgebll.kernel.bundle import Bundle, check_state
from edgebll.kernel.errors import BoardError, ConfigError
from edgebll.kernel.execution.block_runtime import BlockRuntime, Tensor, Trained
from edgebll.kernel.spec.manifest import NEXT, TensorSpec
from edgebll.kernel.spec.time_chunks import step_input, step_output
from edgebll.kernel.state.block_state import Array, State
from edgebll_devices.runtimes.aligned_arrays import empty_aligned, is_ready
from edgebll_devices.runtimes.onnxruntime_session import first_line, load_session, warn_of_cap

Tensors = Mapping[str, Tensor]


class OrtBlock(BlockRuntime):
    """A block on ONNX Runtime; build it with `load_block`."""

    def __init__(self, bundle: Bundle, block: str, *, threads: int = 1) -> None:
        self.spec = bundle.manifest.block(block)
        warn_of_cap(threads)
        sessions = {graph: load_session(bundle, self.spec, graph, threads) for graph in self.spec.graphs}
        self._scalars = {name: empty_aligned(TensorSpec(name, "float32", ())) for name in self.spec.scalars}
        self._metrics = empty_aligned(TensorSpec("metrics", "float32", (len(self.spec.metrics),)))
        self._measured = {"metrics": self._metrics} if self.spec.metrics else {}
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
            step=_BoundGraph(sessions["step"], {**here, **self._scalars}, {**updated, **self._measured}),
            forward=_BoundGraph(sessions["forward"], {name: here[name] for name in self.spec.forward_state}, {}),
            feedback=_BoundGraph(sessions["feedback"], {name: here[name] for name in self.spec.feedback_state}, {})
            if "feedback" in sessions
            else None,
        )

    def train(
        self, x: Tensor, y: Tensor, scalars: Mapping[str, float], received: Mapping[str, Tensor] | None = None
    ) -> Trained:
        """See BlockRuntime."""
        self._check("x", x, step_input(self.spec))
        self._check("y", y, self.spec.labels)
        for name, buffer in self._scalars.items():
            buffer[...] = self._scalar(name, scalars)
        step = self._now.step
        step.bind_input("x", x)
        if self.spec.takes_labels:
            step.bind_input("y", y)
        for name, value in self._received(received).items():
            step.bind_input(name, value)
        a = step.bind_output("a", step_output(self.spec))
        sent = {tensor.name: step.bind_output(tensor.name, tensor) for tensor in self.spec.sent}
        self._run(step, "a training step")
        self._now, self._then = self._then, self._now
        a.flags.writeable = False
        for value in sent.values():
            value.flags.writeable = False
        return a, dict(zip(self.spec.metrics, self._metrics.tolist(), strict=True)), sent

    def evaluate(self, x: Tensor, inputs: Tensors | None = None) -> Tensor:
        """See BlockRuntime."""
        self._check("x", x, self.spec.input)
        for name, value in self._inputs(inputs).items():
            self._now.forward.bind_input(name, value)
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
