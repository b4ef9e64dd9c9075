"""From one graph of a block to its plan: translated, updated in place, fused, scheduled, placed, written down."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgebll.kernel.bundle.graph_signature import INT8_GRAPH, Signature, check_signature, signature
from edgebll.kernel.bundle.onnx_file import read_model
from edgebll.kernel.errors import BundleError
from edgebll.kernel.microcontroller import element_nodes, int8_nodes, product_nodes, reduction_nodes, shape_nodes  # noqa: F401  (they register)
from edgebll.kernel.microcontroller.arrangement import Arrangement, arranged
from edgebll.kernel.microcontroller.buffer_places import PLAN_DTYPES, BufferPlaces
from edgebll.kernel.microcontroller.constant_folding import with_folded_constants
from edgebll.kernel.microcontroller.dependencies import in_order
from edgebll.kernel.microcontroller.emission import Emitter, fits
from edgebll.kernel.microcontroller.expressions import load
from edgebll.kernel.microcontroller.fusion import GraphEnds, fused
from edgebll.kernel.microcontroller.kernels import PlannedKernel, element_kernel
from edgebll.kernel.microcontroller.lifetimes import Storage
from edgebll.kernel.microcontroller.plan_check import check_plan
from edgebll.kernel.microcontroller.plan_kernels import GraphPlan
from edgebll.kernel.microcontroller.plan_parts import Port, PortRole, StepGraph
from edgebll.kernel.microcontroller.short_states import scaled_state, with_short_states
from edgebll.kernel.microcontroller.state_updates import with_updates
from edgebll.kernel.microcontroller.tensor_places import StateLayout, TensorPlace
from edgebll.kernel.microcontroller.translation import output_views, translated
from edgebll.kernel.microcontroller.views import BufferRole, PlannedBuffer, StridedView
from edgebll.kernel.spec.manifest import NEXT, BlockSpec, TensorSpec
from edgebll.kernel.spec.short_state import UNIT

_GRAPHS = {
    "step": StepGraph.STEP,
    "forward": StepGraph.FORWARD,
    INT8_GRAPH: StepGraph.FORWARD,
    "feedback": StepGraph.FEEDBACK,
}

#: Instructions that a byte of the arena is worth where states are short integers: rounding takes vectors along rows and
#: columns, short beside the weights that they are computed for.
_WORTH = 100


@dataclass(frozen=True)
class PlannedGraph:
    """The plan of one graph, and what is known of it here alone.

    Attributes:
        plan: what a board gets.
        inputs: where to put what the graph takes, but for the state.
        outputs: where to find what it gives, but for the state.
        lower_bound_bytes: of the arena for the order that was chosen: what is alive at once at the most.
        lifetimes: what lies in the arena, and when, for whoever wants to see or check it.
        offsets: byte offset of each buffer of the arena.
        instructions: about how many a run takes.
    """

    plan: GraphPlan
    inputs: tuple[TensorPlace, ...]
    outputs: tuple[TensorPlace, ...]
    lower_bound_bytes: int
    lifetimes: tuple[Storage, ...]
    offsets: Mapping[PlannedBuffer, int]
    instructions: int


def plan_graph(content: bytes, where: str, spec: BlockSpec, graph: str, state: StateLayout) -> list[PlannedGraph]:
    """Plan one graph, with nothing computed again in the place of being kept, and with one activation more each.

    Args:
        content: of its ONNX file.
        where: names it in errors.
        spec: of the block.
        graph: "step", "forward", "feedback" or INT8_GRAPH.
        state: of the block; empty for INT8_GRAPH, whose weights are constants.

    Returns:
        Its plans, each with a smaller arena and more work than the one before it, as a rule.

    Raises:
        BundleError: the graph cannot run on a microcontroller; the sentence says why.
    """
    try:
        read = read_model(content)
    except BundleError as error:
        raise BundleError(f"{where}: {error}; export the bundle again") from error
    taken = signature(spec, graph)
    check_signature(where, taken, Signature(read.inputs, read.outputs))
    kept = {place.tensor.name: place for place in state.tensors}
    try:
        buffers = {tensor.name: _input_buffer(tensor, kept.get(tensor.name)) for tensor in taken.inputs}
        short = {name: place.kept_as for name, place in kept.items() if place.kept_as != place.tensor.dtype}
        # Also where the graph has no need of the units, as a forward pass.
        buffers |= {
            unit: _input_buffer(kept[unit].tensor, kept[unit]) for unit in (UNIT + name for name in short if name in buffers)
        }
        scaled = scaled_state(buffers, {name: buffers[UNIT + name] for name in short if name in buffers})
        translation = translated(with_short_states(read, short) if graph == "step" else read, buffers, scaled)
        views = output_views(translation, taken.outputs)
        places = {name: place.offset for name, place in kept.items()}
        return _Planning(spec, graph, taken, buffers, places, state.size_bytes, bool(scaled)).plans(translation.kernels, views)
    except BundleError as error:
        raise BundleError(f"{where}: {error}") from error


def _input_buffer(tensor: TensorSpec, place: TensorPlace | None) -> PlannedBuffer:
    """The buffer of an input; `place` where it is of the state."""
    if tensor.dtype not in PLAN_DTYPES:
        raise BundleError(f"{tensor.name!r} is {tensor.dtype}; microcontrollers take {', '.join(PLAN_DTYPES)}")
    if place is None:
        return PlannedBuffer(tensor.name, tensor.shape, BufferRole.INPUT, tensor.dtype)
    return PlannedBuffer(tensor.name, tensor.shape, BufferRole.STATE, place.kept_as)


@dataclass(frozen=True)
class _Planning:
    """What one graph's planning goes by."""

    spec: BlockSpec
    graph: str
    signature: Signature
    buffers: Mapping[str, PlannedBuffer]
    places: Mapping[str, int]
    state_bytes: int
    is_short: bool

    def plans(self, kernels: list[PlannedKernel], views: Mapping[str, StridedView]) -> list[PlannedGraph]:
        kernels, results = self._with_results(kernels, views)
        inputs = tuple(buffer for buffer in self.buffers.values() if buffer.role is BufferRole.INPUT)
        ends = GraphEnds(inputs, frozenset(results.values()), fits, _WORTH if self.is_short else None)
        first = in_order(kernels)
        assert first is not None  # noqa: S101  (updates that would close a circle are copies)
        return [self._written(arranged(fewer, inputs, ends.outputs), results) for fewer in fused(first, ends)]

    def _written(self, found: Arrangement, results: Mapping[str, PlannedBuffer]) -> PlannedGraph:
        state_offsets = {self.buffers[name]: at for name, at in self.places.items() if name in self.buffers}
        placement = BufferPlaces({**found.offsets, **state_offsets})
        emitter = Emitter(placement)
        order = map(with_folded_constants, found.order) if self.graph == INT8_GRAPH else found.order
        kernels = tuple(emitter.kernel(kernel) for kernel in order)
        inputs, outputs = self.signature.inputs, self.signature.outputs
        given = tuple(TensorPlace(t, found.offsets[self.buffers[t.name]], t.dtype) for t in inputs if t.name not in self.places)
        left = tuple(TensorPlace(t, found.offsets[results[t.name]], t.dtype) for t in outputs if t.name in results)
        ports = (*self._ports(given), *self._ports(left))
        content = bytes(placement.constants.content)
        plan = GraphPlan(_GRAPHS[self.graph], self.state_bytes, found.arena_bytes, ports, content, kernels)
        check_plan(plan)
        told = (found.lower_bound_bytes, found.lifetimes, found.offsets, found.instructions)
        return PlannedGraph(plan, given, left, *told)

    def _with_results(
        self, kernels: list[PlannedKernel], views: Mapping[str, StridedView]
    ) -> tuple[list[PlannedKernel], dict[str, PlannedBuffer]]:
        """The kernels with all that leaves the next state and the outputs where they belong, and the buffers of the outputs."""
        updates = {
            self.buffers[name]: views[name + NEXT] for name in self.places if self.graph == "step" and name in self.buffers
        }
        kernels = with_updates(kernels, updates)
        results: dict[str, PlannedBuffer] = {}
        for tensor in self.signature.outputs:
            if tensor.name.removesuffix(NEXT) in self.places:
                continue
            if tensor.dtype != "float32":
                raise BundleError(f"the output {tensor.name!r} is {tensor.dtype}; outputs are float32")
            view = views[tensor.name]
            if view.buffer.role is not BufferRole.TEMPORARY or view.buffer.home is not None or not view.is_whole:
                result = PlannedBuffer(tensor.name, tensor.shape).whole()
                kernels, view = [*kernels, element_kernel(result, load(view), float(len(kernels)))], result
            results[tensor.name] = view.buffer
        return kernels, results

    def _ports(self, places: Sequence[TensorPlace]) -> list[Port]:
        return [
            Port(*self._role(place.tensor.name), PLAN_DTYPES[place.tensor.dtype], place.offset, math.prod(place.tensor.shape))
            for place in places
        ]

    def _role(self, name: str) -> tuple[PortRole, int]:
        """What an input or output is, and its number among those of that kind."""
        fixed = {"x": PortRole.X, "y": PortRole.Y, "a": PortRole.A, "beta": PortRole.A, "metrics": PortRole.METRIC}
        if name in fixed:
            return fixed[name], 0
        if name in self.spec.scalars:
            return PortRole.SCALAR, self.spec.scalars.index(name)
        for role, tensors in ((PortRole.RECEIVED, self.spec.received), (PortRole.SENT, self.spec.sent)):
            names = [tensor.name for tensor in tensors]
            if name in names:
                return role, names.index(name)
        raise BundleError(f"{self.spec.name} has no input or output {name!r}")
