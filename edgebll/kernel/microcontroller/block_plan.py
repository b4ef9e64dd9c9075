"""The plans of a block: what a microcontroller needs of it, and how much memory that takes there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgebll.kernel.bundle import INT8_GRAPH, Bundle
from edgebll.kernel.errors import BundleError
from edgebll.kernel.microcontroller.arena import ALIGNMENT
from edgebll.kernel.microcontroller.graph_plan import PlannedGraph, plan_graph
from edgebll.kernel.microcontroller.plan_format import encode, version_of
from edgebll.kernel.microcontroller.tensor_places import StateLayout, state_bits, state_layout

_PRECISIONS = ("float32", "int8")


@dataclass(frozen=True)
class RecomputeLevel:
    """What a block takes that computes so many activations a second time, in the place of keeping them.

    Attributes:
        arena_bytes: of its arena.
        pool_bytes: of its plans, state and arena, each at a multiple of 8.
        instructions: about how many a training step takes.
    """

    arena_bytes: int
    pool_bytes: int
    instructions: int


@dataclass(frozen=True)
class BlockPlan:
    """The plans of a block's graphs. They share the state and, as only one runs at a time, the arena.

    Attributes:
        block: its name.
        state: where each tensor of the state lies.
        graphs: "step", "forward" and, where there is a feedback head, "feedback" -> what is known of its plan. Of a quantised
            forward pass "forward" alone.
        encoded: the same -> the bytes that a board gets.
        levels: what it would take with nothing computed again, and with one activation more each.
        level: number of the one it is planned with.
    """

    block: str
    state: StateLayout
    graphs: Mapping[str, PlannedGraph]
    encoded: Mapping[str, bytes]
    levels: tuple[RecomputeLevel, ...]
    level: int

    @property
    def plan_version(self) -> int:
        """Version of the format that all of its plans need."""
        return max(map(version_of, self.encoded.values()))

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
        return self.levels[self.level].pool_bytes


def plan_block(bundle: Bundle, block: str) -> BlockPlan:
    """Plan a block for microcontrollers, with as much computed again as its bundle's manifest says.

    Args:
        bundle: exported for the target "microcontroller".
        block: name of one of its blocks.

    Raises:
        BundleError: there is no such block, it computes in another precision than float32, or one of its graphs cannot run on a
            microcontroller.
    """
    spec = bundle.manifest.block(block)
    _check_precision(bundle)
    layout = state_layout(spec, state_bits(bundle.manifest))
    found = {
        name: plan_graph(bundle.graph(block, name), f"{bundle.path}/{block}/{name}.onnx", spec, name, layout)
        for name in spec.graphs
    }
    count = max(map(len, found.values()))
    graphs = [{name: plans[min(level, len(plans) - 1)] for name, plans in found.items()} for level in range(count)]
    encoded = [{name: encode(planned.plan) for name, planned in each.items()} for each in graphs]
    levels = tuple(_level(layout, *each) for each in zip(graphs, encoded, strict=True))
    level = min(bundle.manifest.recompute.get(block, count), count - 1)
    return BlockPlan(block, layout, graphs[level], encoded[level], levels, level)


def plan_int8_forward(bundle: Bundle, block: str) -> BlockPlan:
    """Plan the quantised forward pass of a block: its weights are constants of the plan, and it has no state.

    Args:
        bundle: of `edgebll quantize`, exported for the target "microcontroller".
        block: name of one of its blocks.

    Raises:
        BundleError: there is no such block, it is not quantised, or its graph cannot run on a microcontroller.
    """
    spec = bundle.manifest.block(block)
    _check_precision(bundle)
    if f"{block}/{INT8_GRAPH}.onnx" not in bundle.manifest.files:
        raise BundleError(f"{bundle.path} has no int8 graphs; make a bundle that has with `edgebll quantize`")
    where, layout = f"{bundle.path}/{block}/{INT8_GRAPH}.onnx", StateLayout((), 0)
    graphs = {"forward": plan_graph(bundle.graph(block, INT8_GRAPH), where, spec, INT8_GRAPH, layout)[-1]}
    encoded = {name: encode(planned.plan) for name, planned in graphs.items()}
    return BlockPlan(block, layout, graphs, encoded, (_level(layout, graphs, encoded),), 0)


def _level(layout: StateLayout, graphs: Mapping[str, PlannedGraph], encoded: Mapping[str, bytes]) -> RecomputeLevel:
    arena_bytes = max(planned.plan.arena_bytes for planned in graphs.values())
    parts = (*map(len, encoded.values()), layout.size_bytes, arena_bytes)
    pool_bytes = sum(-(-size // ALIGNMENT) * ALIGNMENT for size in parts)
    return RecomputeLevel(arena_bytes, pool_bytes, graphs.get("step", graphs["forward"]).instructions)


def _check_precision(bundle: Bundle) -> None:
    if bundle.manifest.precision not in _PRECISIONS:
        raise BundleError(
            f"{bundle.path} computes in {bundle.manifest.precision} and microcontrollers in {' or '.join(_PRECISIONS)}; "
            "export with one of those"
        )
