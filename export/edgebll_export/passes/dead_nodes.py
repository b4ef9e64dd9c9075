"""Order and liveness of nodes."""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from edgebll.kernel.errors import ExportError
from edgebll_export.passes.value_names import Nodes, reads


def without_dead_nodes(nodes: Sequence[onnx.NodeProto]) -> Nodes:
    """Without the nodes that no Identity node, which stand for the graph's outputs, needs."""
    kept: Nodes = []
    needed: set[str] = set()
    for node in reversed(nodes):
        if node.op_type == "Identity" or any(name in needed for name in node.output):
            kept.append(node)
            needed.update(reads(node))
    return kept[::-1]


def in_order(nodes: Nodes) -> Nodes:
    """Every node after those that make its inputs, otherwise in the given order.

    Raises:
        ExportError: nodes read each other's results in a circle, which is a fault of a pass.
    """
    made = {name for node in nodes for name in node.output}
    done: set[str] = set()
    result: Nodes = []
    while nodes:
        waiting = []
        for node in nodes:
            if all(name in done or name not in made for name in reads(node)):
                result.append(node)
                done.update(node.output)
            else:
                waiting.append(node)
        if len(waiting) == len(nodes):
            circle = ", ".join(name for node in waiting[:4] for name in node.output)
            raise ExportError(f"internal error: what makes {circle} is needed to compute itself; please report this graph")
        nodes = waiting
    return result
