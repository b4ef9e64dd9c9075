"""A network of spiking blocks as the tree of a NIR graph."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import nn

from edgebll.kernel.errors import ExportError
from edgebll.learning.networks.spiking.neuron import Neuron
from edgebll.learning.networks.spiking.over_time import OverTime, Recurrent, Repeated
from edgebll.learning.networks.spiking.readout import MeanOverTime
from edgebll_export.nir.graph import Edge, Shape
from edgebll_export.nir.layer_nodes import array, as_node, folded, neuron_values, node_values
from edgebll_export.nir.network.graph_unit import GraphUnit
from edgebll_export.nir.primitives import GRAPH, PRIMITIVES
from edgebll_export.nir.shapes import output_shape

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
#: What does nothing when a network is evaluated.
_NOTHING = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, Repeated)
#: Names of the ends.
INPUT_NAME, OUTPUT_NAME = "input", "output"


@dataclass
class NodeChain:
    """Nodes one after another, as they are found.

    Attributes:
        shape: of what the last node gives in a time step.
        approximate: leave out what NIR has no words for.
        nodes: name -> parameters and type.
        edges: between them.
        last: name of the last node.
        way: each node that another follows, with the shape of what it gives.
        notes: what was left out.
        steps: time steps in seconds of its neurons that have time constants.
    """

    shape: Shape
    approximate: bool
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    last: str = INPUT_NAME
    way: list[tuple[str, Shape]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    steps: set[float] = field(default_factory=set)

    def add(self, layer: nn.Module, prefix: str, where: str) -> None:
        """Add a layer or neurons behind the last node.

        Args:
            layer: it.
            prefix: of the node's name: its block.
            where: its place, for messages.
        """
        if isinstance(layer, _NORMS):
            self._fold(layer, where)
        elif isinstance(layer, Recurrent):
            self.add(layer.neuron, prefix, where)
            neuron = self.last
            kind, values = node_values(layer.linear, self.shape, where)
            back = self._put(kind, values, prefix, self.shape)
            self.edges += [(neuron, back), (back, neuron)]
        elif isinstance(layer, Neuron):
            kind, values, left_out = neuron_values(layer, self.shape, where, self.approximate)
            self.notes += left_out
            self.steps |= {layer.dt} if any(name.startswith("tau") for name in layer.names) else set()
            self._follow(self._put(kind, values, prefix, self.shape))
        elif not (isinstance(layer, nn.Flatten) and len(self.shape) == 1):
            kind, values = node_values(layer, self.shape, where)
            name = self._put(kind, values, prefix, self.shape)
            self.shape = output_shape(as_node(name, kind, _arrays(values)), self.shape, where)
            self._follow(name)

    def _put(self, kind: str, values: dict[str, Any], prefix: str, shape: Shape) -> str:
        base = f"{prefix}.{kind.lower()}"
        alike = sum(name.startswith(base) and name[len(base) :].isdigit() for name in self.nodes)
        name = f"{base}{alike}"
        self.nodes[name] = {**values, "type": kind}
        return name

    def _follow(self, name: str) -> None:
        self.edges.append((self.last, name))
        self.way.append((name, self.shape))
        self.last = name

    def end_in_spikes(self, where: str) -> None:
        """Leave out what follows the last layer of spiking neurons.

        Args:
            where: what is written, for messages.

        Raises:
            ExportError: there is none.
        """
        spiking = [index for index, (name, _) in enumerate(self.way) if PRIMITIVES[self.nodes[name]["type"]].spikes]
        if not spiking:
            raise ExportError(f"{where} has no layer of spiking neurons to end in")
        behind = {name for name, _ in self.way[spiking[-1] + 1 :]}
        self.nodes = {name: node for name, node in self.nodes.items() if name not in behind}
        self.edges = [edge for edge in self.edges if not behind & {*edge}]
        self.last, self.shape = self.way[spiking[-1]]

    def _fold(self, norm: nn.Module, where: str) -> None:
        node = self.nodes.get(self.last, {"type": "Input"})
        values = {key: value for key, value in node.items() if key != "type"}
        kind, new = folded(node["type"], values, norm, where)
        self.nodes[self.last] = {**new, "type": kind}


def chain_tree(
    blocks: Sequence[tuple[str, nn.Module]], shape: Shape, approximate: bool, spikes_only: bool = False
) -> tuple[dict[str, Any], list[str], float | None]:
    """The tree of blocks one after another, what was left out, and the time step of their neurons in seconds.

    Args:
        blocks: name and module of each, with the weights to write.
        shape: of what the first takes in a time step.
        approximate: leave out what NIR has no words for.
        spikes_only: leave out what follows the last layer of spiking neurons.

    Raises:
        ExportError: NIR has no word for a layer, or neurons have different time steps.
    """
    chain = NodeChain(shape, approximate)
    for name, block in blocks:
        for where, layer in _layers(block, name):
            chain.add(layer, name, where)
    if spikes_only:
        chain.end_in_spikes(" and ".join(name for name, _ in blocks))
    if len(chain.steps) > 1:
        raise ExportError(
            f"neurons have different time steps ({', '.join(f'{dt:g} s' for dt in sorted(chain.steps))}); NIR has one"
        )
    ends = {
        INPUT_NAME: {"type": "Input", "shape": np.array(shape)},
        OUTPUT_NAME: {"type": "Output", "shape": np.array(chain.shape)},
    }
    edges = [*chain.edges, (chain.last, OUTPUT_NAME)]
    tree = {"type": GRAPH, "nodes": {**ends, **chain.nodes}, "edges": edges}
    return tree, chain.notes, next(iter(chain.steps), None)


def imported_tree(tree: Mapping[str, Any], blocks: Sequence[nn.Module]) -> dict[str, Any]:
    """The tree that a network was imported from, with the weights that it has now; those that did not move keep their digits.

    Args:
        tree: of the graph.
        blocks: the network's, with the weights to write.
    """
    new: dict[str, Any] = copy.deepcopy(dict(tree))
    for unit in (module for block in blocks for module in block.modules() if isinstance(module, GraphUnit)):
        for node, part in zip(unit.plan.nodes, unit.parts, strict=True):
            for key, parameter in part.named_parameters():
                place = _node_in(new, node.name)
                old, now = np.asarray(place[key]), array(parameter)
                place[key] = old if np.array_equal(old.astype(np.float32), now) else now.astype(old.dtype)
    return new


def _node_in(tree: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The node of a full name: names of sub-graphs stand before it, and may hold dots themselves."""
    nodes = tree["nodes"]
    if name in nodes:
        found: dict[str, Any] = nodes[name]
        return found
    outer = next(key for key, node in nodes.items() if node["type"] == GRAPH and name.startswith(f"{key}."))
    return _node_in(nodes[outer], name[len(outer) + 1 :])


def _layers(module: nn.Module, where: str) -> Iterator[tuple[str, nn.Module]]:
    """The layers of a block in their order, with their places."""
    if isinstance(module, nn.Sequential):
        for name, child in module._modules.items():
            if child is not None:
                yield from _layers(child, f"{where}.{name}")
    elif isinstance(module, OverTime):
        yield from _layers(module.layer, f"{where}.layer")
    elif not isinstance(module, (*_NOTHING, MeanOverTime)):
        yield where, module


def _arrays(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value if isinstance(value, str) else np.asarray(value) for key, value in values.items()}
