"""A NIR graph that can be computed: nodes without sub-graphs, the order of a time step, and the shape of every value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgebll_export.nir.primitives import PRIMITIVES, Primitive

Edge = tuple[str, str]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class GraphNode:
    """A node that is no sub-graph.

    Attributes:
        name: with the names of the sub-graphs around it before it, e.g. "lif1.w_rec".
        kind: NIR's primitive, e.g. "LIF".
        values: parameter -> array, number or text, as the file has it.
    """

    name: str
    kind: str
    values: Mapping[str, Any]

    @property
    def primitive(self) -> Primitive:
        """What NIR says of its kind."""
        return PRIMITIVES[self.kind]

    def __str__(self) -> str:
        return f"node {self.name} ({self.kind})"


@dataclass(frozen=True)
class SpikingGraph:
    """A NIR graph whose nodes, edges, shapes and values were checked.

    Attributes:
        place: the file it came from, or what else it is called in messages.
        tree: the graph as it was read, sub-graphs and metadata included: what is written again.
        nodes: name -> node, in the order in which a time step computes them.
        edges: from node to node.
        delayed: those of them that close a cycle: what goes along them arrives one time step later.
        input_shapes: node -> shape of what it takes in one time step of one sample.
        output_shapes: node -> shape of what it gives.
        input_name: the node that takes the samples.
        output_name: the node whose values are the result.
    """

    place: str
    tree: Mapping[str, Any]
    nodes: Mapping[str, GraphNode]
    edges: tuple[Edge, ...]
    delayed: frozenset[Edge]
    input_shapes: Mapping[str, Shape]
    output_shapes: Mapping[str, Shape]
    input_name: str
    output_name: str

    @property
    def input_shape(self) -> Shape:
        """Shape of one time step of one sample."""
        return self.output_shapes[self.input_name]

    @property
    def output_shape(self) -> Shape:
        """Shape of the result of one time step of one sample."""
        return self.output_shapes[self.output_name]

    @property
    def neurons(self) -> list[GraphNode]:
        """Nodes with a membrane, in the order of a time step."""
        return [node for node in self.nodes.values() if node.primitive.is_neuron]

    @property
    def has_times(self) -> bool:
        """Whether a time step's length matters: there are time constants or delays."""
        return any(node.primitive.taus for node in self.nodes.values())

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What the file says besides; nothing that the graph's meaning rests on."""
        found = self.tree.get("metadata", {})
        return found if isinstance(found, Mapping) else {}

    def sources(self, name: str) -> list[Edge]:
        """The edges that end at a node.

        Args:
            name: of the node.
        """
        return [edge for edge in self.edges if edge[1] == name]
