"""A graph without sub-graphs: their nodes stand in it with longer names, and edges lead to and from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgebll.kernel.errors import ExportError
from edgebll_export.nir.graph import Edge, GraphNode
from edgebll_export.nir.primitives import GRAPH, INPUT, OUTPUT, PRIMITIVES


def flatten(tree: Mapping[str, Any], place: str) -> tuple[dict[str, GraphNode], list[Edge]]:
    """Nodes and edges of a graph and of all graphs in it.

    Args:
        tree: as `read_tree` gives it.
        place: the file, for messages.

    Returns:
        Name -> node, and the edges between them; the Input and Output of a sub-graph stay, as nodes that change nothing.

    Raises:
        ExportError: an edge ends nowhere or stands twice, or a sub-graph has not one way in and one out.
    """
    nodes: dict[str, GraphNode] = {}
    edges: list[Edge] = []
    _add(tree, "", place, nodes, edges)
    return nodes, edges


def _add(tree: Mapping[str, Any], prefix: str, place: str, nodes: dict[str, GraphNode], edges: list[Edge]) -> None:
    entries, exits = {}, {}
    for name, node in tree["nodes"].items():
        full = f"{prefix}{name}"
        if node["type"] == GRAPH:
            _add(node, f"{full}.", place, nodes, edges)
            entries[name], exits[name] = (_only(node, kind, full, place) for kind in (INPUT, OUTPUT))
            continue
        defaults = dict(PRIMITIVES[node["type"]].defaults)
        nodes[full] = GraphNode(full, node["type"], {**defaults, **{k: v for k, v in node.items() if k != "type"}})
        entries[name] = exits[name] = full
    seen = set()
    for source, target in tree["edges"]:
        for end in (source, target):
            if end not in entries:
                raise ExportError(
                    f"{place}: the edge from {prefix}{source} to {prefix}{target} has no node {prefix}{end} to end at"
                )
        if (source, target) in seen:
            raise ExportError(f"{place}: the edge from {prefix}{source} to {prefix}{target} stands twice; leave one out")
        seen.add((source, target))
        edges.append((exits[source], entries[target]))


def _only(tree: Mapping[str, Any], kind: str, name: str, place: str) -> str:
    found = [key for key, node in tree["nodes"].items() if node["type"] == kind]
    if len(found) != 1:
        raise ExportError(f"{place}: the sub-graph {name} has {len(found)} nodes of kind {kind}; it must have one")
    return f"{name}.{found[0]}"
