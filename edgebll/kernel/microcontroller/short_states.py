"""State tensors that are kept as integers times a unit a row: read as scaled integers, and rounded where they are written.

The step function rounds, see `edgebll.learning.optimizers.rounded_state`: NAME.next is a whole number times a unit, both
float32. So nothing is lost where the plan divides by the unit and stores an integer. Where the graph says how the whole number
came to be, a sum that was cut and rounded by adding a large number, storing does all of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from edgebll.kernel.bundle.onnx_file import Node, OnnxGraph
from edgebll.kernel.microcontroller.expressions import SUM, Expression, load
from edgebll.kernel.microcontroller.kernels import Reduction
from edgebll.kernel.microcontroller.scaled_views import ScaledView, scale_view
from edgebll.kernel.microcontroller.translation import Translation, translates
from edgebll.kernel.microcontroller.views import PlannedBuffer
from edgebll.kernel.spec.manifest import NEXT
from edgebll.kernel.spec.short_state import UNIT
from edgebll.kernel.state.block_state import Array

#: No operators of ONNX. The first takes whole numbers, or floats that become such, and the next units; the second a tensor of
#: the state.
SHORT_STATE, LARGEST = "ShortState", "LargestOfRows"
_ROUNDER = 1.5 * 2.0**23


def scaled_state(buffers: Mapping[str, PlannedBuffer], units: Mapping[str, PlannedBuffer]) -> dict[str, ScaledView]:
    """The inputs of a graph that are integers.

    Args:
        buffers: all of its inputs.
        units: name of a state tensor that is integers -> buffer of its units.
    """
    found = {}
    for name, unit in units.items():
        if name in buffers:
            whole = buffers[name].whole()
            found[name] = ScaledView(whole, scale_view(unit.whole(), whole.shape, 0))
    return found


def with_short_states(graph: OnnxGraph, kept_as: Mapping[str, str]) -> OnnxGraph:
    """The graph with nodes SHORT_STATE for the next values of state tensors that are integers.

    Args:
        graph: of a training step.
        kept_as: name of such a tensor -> "int16" or "int8".
    """
    makers = {output: node for node in graph.nodes for output in node.outputs}
    # A value is needed by nodes, and by the outputs that are no such states.
    outputs = [tensor.name for tensor in graph.outputs if tensor.name.removesuffix(NEXT) not in kept_as]
    uses = Counter((*(name for node in graph.nodes for name in node.inputs), *outputs))
    nodes = [_largest(node, makers, kept_as, uses) for node in graph.nodes]
    for name, dtype in kept_as.items():
        made, unit = makers[name + NEXT], UNIT + name + NEXT
        floats, found = name + NEXT, _rounded(made, makers, graph.constants, unit, dtype)
        attributes = {"dtype": dtype, "divides": found is None}
        nodes.append(Node(SHORT_STATE, name, (found or floats, unit), (f"{name} kept",), attributes))
        uses[found or floats] += 1
    return replace(graph, nodes=_needed(nodes, uses))


def _largest(node: Node, makers: Mapping[str, Node], kept_as: Mapping[str, str], uses: Counter[str]) -> Node:
    """The largest magnitude of each row as that of integers, multiplied by the unit once; other nodes as they are."""
    made = makers.get(node.inputs[0]) if node.operator == "ReduceMax" else None
    if made is None or made.operator != "Abs" or made.inputs[0] not in kept_as or len(node.inputs) > 1:
        return node
    name, axes = made.inputs[0], tuple(node.attributes.get("axes", ()))
    if not axes or 0 in axes or not node.attributes.get("keepdims", 1):
        return node
    uses[node.inputs[0]] -= 1
    uses[name] += 1
    return Node(LARGEST, name, (name,), node.outputs, {"axes": axes})


def _rounded(made: Node, makers: Mapping[str, Node], constants: Mapping[str, Array], unit: str, dtype: str) -> str | None:
    """What was cut to what the dtype holds, became a whole number and was multiplied by its unit; None if nothing did."""

    def by(node: Node | None, operator: str, number: float) -> str | None:
        """The first input of a node with this operator and this constant."""
        if node is None or node.operator != operator or len(node.inputs) != 2:
            return None
        held = constants.get(node.inputs[1])
        return node.inputs[0] if held is not None and held.size == 1 and float(held.reshape(-1)[0]) == number else None

    def stands_for(name: str) -> bool:
        while name in makers and makers[name].operator == "Reshape" and name != unit:
            name = makers[name].inputs[0]
        return name == unit

    if made.operator != "Mul" or not stands_for(made.inputs[1]):
        return None
    limits, at = np.iinfo(dtype), made.inputs[0]
    steps = (("Sub", _ROUNDER), ("Add", _ROUNDER), ("Min", float(limits.max)), ("Max", float(limits.min)))
    for operator, number in steps:
        found = by(makers.get(at), operator, number)
        if found is None:
            return None
        at = found
    return at


def _needed(nodes: list[Node], uses: Counter[str]) -> tuple[Node, ...]:
    """Nodes without those of which no result is used; from behind, for what these used may go too."""
    kept = []
    for node in reversed(nodes):
        if node.operator == SHORT_STATE or any(uses[output] for output in node.outputs):
            kept.append(node)
        else:
            uses.subtract(node.inputs)
    return tuple(reversed(kept))


@translates(SHORT_STATE)
def _short_state(t: Translation, node: Node) -> None:
    x, unit = t.view(node.inputs[0]), t.view(node.inputs[1])
    value = load(x)
    if node.attributes["divides"]:
        value = Expression("mul", (value, Expression("reciprocal", (load(scale_view(unit, x.shape, 0)),))))
    dtype = node.attributes["dtype"]
    # Old numbers are read in old units until the last of the new ones is written: the new units come to their place behind.
    units = UNIT + node.name + NEXT
    t.values[units] = t.copied(f"{units} kept", unit)
    t.values[units].buffer.is_behind = True
    t.values[node.name + NEXT] = t.computed(node.outputs[0], x.shape, Expression(dtype, (value,)), dtype=dtype)


@translates(LARGEST)
def _largest_of_rows(t: Translation, node: Node) -> None:
    x, over = t.scaled[node.inputs[0]], node.attributes["axes"]
    rank = len(x.view.shape)
    kept = [axis for axis in range(rank) if axis not in over]
    assert x.scale is not None  # noqa: S101  (states that are integers have one, of rows)
    shape, reduced = tuple(x.view.shape[axis] for axis in kept), tuple(x.view.shape[axis] for axis in over)
    integer = load(x.view.permuted((*kept, *over)))
    # The root of the largest square: of integers so small it is exact, and boards take products faster than magnitudes.
    square, magnitude = Expression("mul", (integer, integer)), Expression("sqrt", (SUM,))
    units = x.scale.permuted((*kept, *over)).with_axes(shape, [x.scale.strides[axis] for axis in kept])
    made = t.computed(node.outputs[0], shape, Expression("mul", (magnitude, load(units))), Reduction("max", reduced, square))
    told = [1 if axis in over else size for axis, size in enumerate(x.view.shape)]
    sizes = iter(made.strides)
    t.values[node.outputs[0]] = made.with_axes(told, [0 if axis in over else next(sizes) for axis in range(rank)])
