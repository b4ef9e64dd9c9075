"""A block on the reference runtime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgebll.kernel.bundle import Bundle, check_state
from edgebll.kernel.bundle.graph_signature import Signature, check_signature, signature
from edgebll.kernel.bundle.onnx_file import read_model
from edgebll.kernel.errors import BoardError, BundleError, ConfigError
from edgebll.kernel.execution.block_runtime import BlockRuntime, Tensor, Trained
from edgebll.kernel.spec.manifest import NEXT, BlockSpec
from edgebll.kernel.spec.time_chunks import step_input
from edgebll.kernel.state.block_state import Array, State
from edgebll_devices.runtimes.reference.interpreter import Program


class ReferenceBlock(BlockRuntime):
    """A block computed by numpy; build it with `load_block`."""

    def __init__(self, bundle: Bundle, block: str) -> None:
        self.spec = bundle.manifest.block(block)
        self._programs = {graph: load_program(bundle, self.spec, graph) for graph in self.spec.graphs}
        self._state = bundle.state(block)

    def train(
        self, x: Tensor, y: Tensor, scalars: Mapping[str, float], received: Mapping[str, Tensor] | None = None
    ) -> Trained:
        """See BlockRuntime."""
        self._check("x", x, step_input(self.spec))
        self._check("y", y, self.spec.labels)
        values = {name: np.array(self._scalar(name, scalars), np.float32) for name in self.spec.scalars}
        labels = {"y": y} if self.spec.takes_labels else {}
        results = self._run("step", {**self._state, "x": x, **labels, **values, **self._received(received)})
        self._state = {name: results[name + NEXT] for name in self._state}
        sent = {tensor.name: results[tensor.name] for tensor in self.spec.sent}
        numbers = results["metrics"].tolist() if self.spec.metrics else ()
        return results["a"], dict(zip(self.spec.metrics, numbers, strict=True)), sent

    def evaluate(self, x: Tensor, inputs: Mapping[str, Tensor] | None = None) -> Tensor:
        """See BlockRuntime."""
        self._check("x", x, self.spec.input)
        state = {name: self._state[name] for name in self.spec.forward_state}
        a: Tensor = self._run("forward", {**state, "x": x, **self._inputs(inputs)})["a"]
        return a

    def feedback(self, y: Tensor) -> Tensor:
        """See BlockRuntime."""
        if self.spec.beta is None:
            raise ConfigError(f"{self.spec.name} has no feedback head; the rule of this bundle does not use one")
        self._check("y", y, self.spec.labels)
        state = {name: self._state[name] for name in self.spec.feedback_state}
        beta: Tensor = self._run("feedback", {**state, "y": y})["beta"]
        return beta

    def _run(self, graph: str, inputs: Mapping[str, Tensor]) -> dict[str, Any]:
        try:
            results = self._programs[graph].run(inputs)
        except BundleError as error:
            raise BoardError(f"{self.spec.name}/{graph}.onnx: {error}") from error
        for value in results.values():
            value.flags.writeable = False
        return results

    def state(self) -> dict[str, Array]:
        """See BlockRuntime."""
        return {name: value.copy() for name, value in self._state.items()}

    def load_state(self, state: State) -> None:
        """See BlockRuntime."""
        check_state(self.spec, state, self.spec.name)
        self._state = {name: np.array(state[name]) for name in self._state}

    def close(self) -> None:
        """See BlockRuntime."""
        self._programs, self._state = {}, {}


def load_program(bundle: Bundle, spec: BlockSpec, graph: str) -> Program:
    """Read a block's graph.

    Raises:
        BundleError: not an ONNX file, an operator the reference runtime does not have, or another signature.
    """
    where = f"{bundle.path}/{spec.name}/{graph}.onnx"
    try:
        program = Program(read_model(bundle.graph(spec.name, graph)))
    except BundleError as error:
        raise BundleError(f"{where} does not load in the reference runtime: {error}; export the bundle again") from error
    check_signature(where, signature(spec, graph), Signature(program.graph.inputs, program.graph.outputs))
    return program
