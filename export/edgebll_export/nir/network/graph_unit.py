"""A part of a graph as one module over time: what a network is cut between.

Without a way back in it, layer after layer sees all time steps at once; with one, all its nodes are computed step by step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from edgebll.learning.networks.spiking.over_time import OverTime
from edgebll_export.nir.graph import Edge, GraphNode, Shape


@dataclass(frozen=True)
class UnitPlan:
    """Which nodes of a graph are in a unit.

    Attributes:
        nodes: in the order of a time step.
        edges: into them.
        delayed: those of them that carry what the step before gave.
        source: the node outside, or the graph's Input, whose values come in.
        target: the node whose values go out.
        shapes: of the nodes whose values are delayed, those of a time step.
    """

    nodes: tuple[GraphNode, ...]
    edges: tuple[Edge, ...]
    delayed: frozenset[Edge]
    source: str
    target: str
    shapes: Mapping[str, Shape]


class GraphUnit(nn.Module):
    """Nodes of a graph, over all time steps of samples (B, T, ...).

    Args:
        plan: which nodes, and how they are connected.
        modules: of each node.

    Attributes:
        plan: which nodes, and how they are connected.
        parts: the modules, in the order of the plan's nodes.
    """

    def __init__(self, plan: UnitPlan, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        self.plan = plan
        self.parts = nn.ModuleList(modules)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, ...) to (B, T, ...)."""
        return self._step_by_step(x) if self.plan.delayed else self._layer_by_layer(x)

    def _layer_by_layer(self, x: Tensor) -> Tensor:
        values = {self.plan.source: x}
        for node, part in zip(self.plan.nodes, self.parts, strict=True):
            given = self._arriving(node, values, values)
            values[node.name] = part(given) if node.primitive.keeps else OverTime(part)(given)
        return values[self.plan.target]

    def _step_by_step(self, x: Tensor) -> Tensor:
        states: dict[str, Any] = {}
        before = {name: torch.zeros(x.shape[0], *shape, dtype=x.dtype) for name, shape in self.plan.shapes.items()}
        given = []
        for current in x.unbind(1):
            values = {self.plan.source: current}
            for node, part in zip(self.plan.nodes, self.parts, strict=True):
                arriving = self._arriving(node, values, before)
                if node.primitive.keeps:
                    state = states[node.name] if node.name in states else _stepped(part).initial(arriving)
                    states[node.name], values[node.name] = _stepped(part).step(state, arriving)
                else:
                    values[node.name] = part(arriving)
            before = values
            given.append(values[self.plan.target])
        return torch.stack(given, 1)

    def _arriving(self, node: GraphNode, values: Mapping[str, Tensor], before: Mapping[str, Tensor]) -> Tensor:
        """The sum of what comes along a node's edges; along those delayed nothing at the first step."""
        sources = [edge for edge in self.plan.edges if edge[1] == node.name]
        arriving = [before[edge[0]] if edge in self.plan.delayed else values[edge[0]] for edge in sources]
        total = arriving[0]
        for value in arriving[1:]:
            total = total + value
        return total


def _stepped(part: nn.Module) -> Any:
    return part
