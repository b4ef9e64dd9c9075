"""A block whose plans run in numpy, in the C runtime's order: the same bits as a microcontroller's, on any machine."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgebll.kernel.bundle import Bundle, check_state
from edgebll.kernel.execution.block_runtime import Tensor
from edgebll.kernel.microcontroller.block_plan import BlockPlan, plan_block, plan_int8_forward
from edgebll.kernel.microcontroller.graph_plan import PlannedGraph
from edgebll.kernel.microcontroller.ordered_memory import Bytes
from edgebll.kernel.microcontroller.ordered_reference import run_ordered
from edgebll.kernel.microcontroller.plan_format import decode
from edgebll.kernel.microcontroller.plan_kernels import GraphPlan
from edgebll.kernel.microcontroller.planned_block import PlannedBlock
from edgebll.kernel.state.block_state import Array, State


class OrderedBlock(PlannedBlock):
    """A block computed from its encoded plans; it takes what the planner wrote and nothing else of the graphs.

    Args:
        bundle: exported for the target "microcontroller".
        block: name of one of its blocks.
        plan: of the block, where it was made before.
    """

    def __init__(self, bundle: Bundle, block: str, plan: BlockPlan | None = None) -> None:
        self.spec = bundle.manifest.block(block)
        self.plan = plan or plan_block(bundle, block)
        self._plans = {name: decode(content) for name, content in self.plan.encoded.items()}
        self._state: Bytes = np.zeros(self.plan.state_bytes, np.uint8)
        self.load_state(bundle.state(block))

    def _run(self, graph: str, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return _results(self.plan.graphs[graph], self._plans[graph], self._state, values)

    def state(self) -> dict[str, Array]:
        """See BlockRuntime."""
        return self.plan.state.read(self._state)

    def load_state(self, state: State) -> None:
        """See BlockRuntime."""
        check_state(self.spec, state, self.spec.name)
        self.plan.state.write(self._state, state)

    def close(self) -> None:
        """See BlockRuntime."""
        self._plans = {}


class OrderedInt8Forward:
    """A block's quantised forward pass, computed from its encoded plan.

    Args:
        bundle: of `edgebll quantize`, exported for the target "microcontroller".
        block: name of one of its blocks.
    """

    def __init__(self, bundle: Bundle, block: str) -> None:
        self.plan = plan_int8_forward(bundle, block)
        self._plan = decode(self.plan.encoded["forward"])

    def evaluate(self, x: Array, inputs: Mapping[str, Array] | None = None) -> Array:
        """x (B, ...), as the block takes it, and side inputs by name, to a (B, ...) float32."""
        return _results(self.plan.graphs["forward"], self._plan, np.zeros(0, np.uint8), {"x": x, **(inputs or {})})["a"]

    def close(self) -> None:
        """Nothing is held."""


def _results(planned: PlannedGraph, plan: GraphPlan, state: Bytes, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Run a plan in an arena of its own; `state` changes in place."""
    arena: Bytes = np.zeros(plan.arena_bytes, np.uint8)
    for place in planned.inputs:
        place.elements(arena)[...] = values[place.tensor.name]
    run_ordered(plan, state, arena)
    results = {}
    for place in planned.outputs:
        results[place.tensor.name] = place.elements(arena).copy()
        results[place.tensor.name].flags.writeable = False
    return results
