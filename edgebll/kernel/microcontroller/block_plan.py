"""The plans of a block: what a microcontroller needs of it, and how much memory that takes there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import BundleError
from edgebll.kernel.microcontroller.arena import ALIGNMENT
from edgebll.kernel.microcontroller.graph_plan import PlannedGraph, plan_graph
from edgebll.kernel.microcontroller.plan_format import encode
from edgebll.kernel.microcontroller.tensor_places import StateLayout, state_layout


@dataclass(frozen=True)
class BlockPlan:
    """The plans of a block's graphs. They share the state and, as only one runs at a time, the arena.

    Attributes:
        block: its name.
        state: where each tensor of the state lies.
        graphs: "step", "forward" and, where there is a feedback head, "feedback" -> what is known of its plan.
        encoded: the same -> the bytes that a board gets.
    """

    block: str
    state: StateLayout
    graphs: Mapping[str, PlannedGraph]
    encoded: Mapping[str, bytes]

    @property
    def state_bytes(self) -> int:
        """Bytes of the state region."""
        return self.state.size_bytes

    @property
    def arena_bytes(self) -> int:
        """Bytes of the arena, which is as large as the graph that needs most asks for."""
        return max(planned.plan.arena_bytes for planned in self.graphs.values())

    @property
    def lower_bound_bytes(self) -> int:
        """Bytes that are alive at once, at the most: no arena can be smaller for these kernels in this order."""
        return max(planned.lower_bound_bytes for planned in self.graphs.values())

    @property
    def plan_bytes(self) -> int:
        """Bytes of all encoded plans."""
        return sum(map(len, self.encoded.values()))

    @property
    def pool_bytes(self) -> int:
        """Bytes that hosting the block takes on a board: plans, state and arena, each at a multiple of 8."""
        parts = (*map(len, self.encoded.values()), self.state_bytes, self.arena_bytes)
        return sum(-(-size // ALIGNMENT) * ALIGNMENT for size in parts)


def plan_block(bundle: Bundle, block: str) -> BlockPlan:
    """Plan a block for microcontrollers.

    Args:
        bundle: exported for the target "microcontroller".
        block: name of one of its blocks.

    Raises:
        BundleError: there is no such block, it computes in another precision than float32, or one of its graphs cannot run on a
            microcontroller.
    """
    spec = bundle.manifest.block(block)
    if bundle.manifest.precision != "float32":
        raise BundleError(
            f"{bundle.path} computes in {bundle.manifest.precision} and microcontrollers in float32; export with that precision"
        )
    layout = state_layout(spec)
    graphs = {
        name: plan_graph(bundle.graph(block, name), f"{bundle.path}/{block}/{name}.onnx", spec, name, layout)
        for name in spec.graphs
    }
    return BlockPlan(block, layout, graphs, {name: encode(planned.plan) for name, planned in graphs.items()})
