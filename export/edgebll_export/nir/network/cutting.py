"""Where a graph can be cut: behind neurons whose spikes alone go on, and never through a cycle."""

from __future__ import annotations

from edgebll_export.nir.graph import SpikingGraph
from edgebll_export.nir.network.graph_unit import UnitPlan


def unit_plans(graph: SpikingGraph) -> list[UnitPlan]:
    """The smallest units that a graph can be cut into, in order.

    Args:
        graph: it; each unit but the last ends in neurons.
    """
    names = [name for name in graph.nodes if name not in (graph.input_name, graph.output_name)]
    places = {name: index for index, name in enumerate(names)}
    ends = [index for index, name in enumerate(names) if _can_cut(graph, names, places, name)]
    plans, start, source = [], 0, graph.input_name
    for end in [*ends, len(names) - 1]:
        target = names[end] if end < len(names) - 1 else _last(graph)
        plans.append(_plan(graph, names[start : end + 1], source, target))
        start, source = end + 1, target
    return plans


def cycle_of(graph: SpikingGraph) -> str:
    """The nodes that cycles hold together, for messages; empty where there are none."""
    return ", ".join(f"from {source} to {target}" for source, target in sorted(graph.delayed))


def _can_cut(graph: SpikingGraph, names: list[str], places: dict[str, int], name: str) -> bool:
    """Whether all that goes on behind a node is what this node gives, and there is something with weights or neurons left."""
    node, place = graph.nodes[name], places[name]
    rest = names[place + 1 :]
    matters = any(graph.nodes[one].primitive.is_neuron or "weight" in graph.nodes[one].values for one in rest)
    if not (node.primitive.is_neuron and matters):
        return False
    for source, target in graph.edges:
        before = source == graph.input_name or places.get(source, len(names)) <= place
        behind = target == graph.output_name or places.get(target, -1) > place
        if before and behind and source != name:
            return False
        if not before and not behind:
            return False
    return True


def _last(graph: SpikingGraph) -> str:
    """The node that the graph's Output reads; where it adds several up, the Output itself is computed."""
    sources = graph.sources(graph.output_name)
    return sources[0][0] if len(sources) == 1 else graph.output_name


def _plan(graph: SpikingGraph, names: list[str], source: str, target: str) -> UnitPlan:
    names = [*names, target] if target == graph.output_name else names
    nodes = tuple(graph.nodes[name] for name in names)
    edges = tuple(edge for edge in graph.edges if edge[1] in names)
    delayed = frozenset(edge for edge in edges if edge in graph.delayed)
    shapes = {edge[0]: graph.output_shapes[edge[0]] for edge in sorted(delayed)}
    return UnitPlan(nodes, edges, delayed, source, target, shapes)
