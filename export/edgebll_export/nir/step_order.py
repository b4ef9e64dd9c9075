"""In which order a time step computes the nodes of a graph, and which edges carry what the step before gave.

A cycle is cut at an edge that leaves a neuron: its spikes arrive one step later, as in every simulator that goes step by step.
Of several such edges in a cycle it is the last one, seen from where the cycle is entered: the way back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from edgebll.kernel.errors import ExportError
from edgebll_export.nir.graph import Edge, GraphNode


def step_order(
    nodes: Mapping[str, GraphNode], edges: Sequence[Edge], start: str, place: str
) -> tuple[list[str], frozenset[Edge]]:
    """Names of nodes in an order in which each comes after those it reads, and the edges left out for that.

    Args:
        nodes: name -> node.
        edges: between them.
        start: the node that takes the samples.
        place: the file, for messages.

    Raises:
        ExportError: a cycle has no neuron in it.
    """
    delayed: set[Edge] = set()
    while True:
        order, cycle = _visit([edge for edge in edges if edge not in delayed], [start, *nodes])
        if not cycle:
            break
        leaving = [edge for edge in cycle if nodes[edge[0]].primitive.keeps]
        if not leaving:
            names = " -> ".join([*(edge[0] for edge in cycle), cycle[-1][1]])
            raise ExportError(
                f"{place}: the cycle {names} has no neuron in it, so that its values would depend on themselves; "
                "put a neuron or a Delay into it"
            )
        delayed.add(leaving[-1])
    return order, frozenset(delayed)


def _visit(edges: Sequence[Edge], roots: Sequence[str]) -> tuple[list[str], list[Edge]]:
    """Depth first from each root: names in order, or the edges of the first cycle from where it is entered."""
    after: dict[str, list[str]] = {}
    for source, target in edges:
        after.setdefault(source, []).append(target)
    done: list[str] = []
    for root in roots:
        cycle = [] if root in done else _descend(root, after, done)
        if cycle:
            return [], cycle
    return done[::-1], []


def _descend(root: str, after: Mapping[str, Sequence[str]], done: list[str]) -> list[Edge]:
    """Add what can be reached from a root to what is done, deepest first; a cycle ends it. With a stack of its own."""
    finished = set(done)
    way, rest = [root], [iter(after.get(root, ()))]
    while way:
        target = next(rest[-1], None)
        if target is None:
            rest.pop()
            done.append(way.pop())
            finished.add(done[-1])
        elif target in way:
            ring = [*way[way.index(target) :], target]
            return list(pairwise(ring))
        elif target not in finished:
            way.append(target)
            rest.append(iter(after.get(target, ())))
    return []
