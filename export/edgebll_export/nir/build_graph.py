"""A tree of plain values becomes a graph that can be computed, every node of it checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from edgebll.kernel.errors import ExportError
from edgebll_export.nir.flattening import flatten
from edgebll_export.nir.graph import Edge, GraphNode, Shape, SpikingGraph
from edgebll_export.nir.node_values import checked_values
from edgebll_export.nir.primitives import INPUT, OUTPUT
from edgebll_export.nir.shapes import given_shape, output_shape, shape_text
from edgebll_export.nir.step_order import step_order

#: Of one node in one time step of one sample.
_MOST_VALUES = 1 << 26


def build_graph(tree: Mapping[str, Any], place: str) -> SpikingGraph:
    """Check a graph and order its nodes.

    Args:
        tree: as `read_tree` gives it.
        place: the file, for messages.

    Raises:
        ExportError: there is not one input and one output, shapes do not fit, a value is no number that a node can have, or a
            cycle has no neuron in it.
    """
    nodes, edges = flatten(tree, place)
    nodes = {name: checked_values(node, place) for name, node in nodes.items()}
    ends = {edge[1] for edge in edges}, {edge[0] for edge in edges}
    start = _only(nodes, INPUT, ends[0], place)
    end = _only(nodes, OUTPUT, ends[1], place)
    order, delayed = step_order(nodes, edges, start, place)
    ordered = {name: nodes[name] for name in order}
    inputs, outputs = _shapes(ordered, edges, start, place)
    return SpikingGraph(place, tree, ordered, tuple(edges), delayed, inputs, outputs, start, end)


def _only(nodes: Mapping[str, GraphNode], kind: str, inner: set[str], place: str) -> str:
    """The graph's own Input or Output: those of sub-graphs have edges on their other side too."""
    found = [name for name, node in nodes.items() if node.kind == kind and name not in inner]
    if len(found) != 1:
        names = f" ({', '.join(found)})" if found else ""
        raise ExportError(f"{place}: the graph has {len(found)} nodes of kind {kind}{names}; it must have one")
    return found[0]


def _shapes(
    nodes: Mapping[str, GraphNode], edges: Sequence[Edge], start: str, place: str
) -> tuple[dict[str, Shape], dict[str, Shape]]:
    """Shapes spread from the input along all edges; then every edge must fit."""
    inputs = {start: given_shape(nodes[start])}
    outputs = {start: output_shape(nodes[start], inputs[start], place)}
    _check_size(nodes[start], outputs[start], place)
    waiting = [start]
    while waiting:
        source = waiting.pop(0)
        for target in (edge[1] for edge in edges if edge[0] == source and edge[1] not in inputs):
            inputs[target] = outputs[source]
            outputs[target] = output_shape(nodes[target], inputs[target], place)
            _check_size(nodes[target], outputs[target], place)
            waiting.append(target)
    unreached = [name for name in nodes if name not in inputs]
    if unreached:
        raise ExportError(f"{place}: no way leads from {start} to {nodes[unreached[0]]}; connect it or leave it out")
    for source, target in edges:
        if outputs[source] != inputs[target]:
            wanted, given = (shape_text(shape) for shape in (inputs[target], outputs[source]))
            raise ExportError(f"{place}: {nodes[target]} takes values of shape {wanted}, but {source} gives {given}")
    return inputs, outputs


def _check_size(node: GraphNode, shape: Shape, place: str) -> None:
    if not 0 < math.prod(shape) <= _MOST_VALUES:
        raise ExportError(
            f"{place}: {node} gives values of shape {shape_text(shape)}; 1 to {_MOST_VALUES} numbers are computed"
        )
