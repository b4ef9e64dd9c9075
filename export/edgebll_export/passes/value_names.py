"""What passes share: what they may ask of the graph's builder, and how they rename values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper

from edgebll_export.targets import Target

Nodes = list[onnx.NodeProto]


class Names(Protocol):
    """What passes need of a graph builder."""

    @property
    def target(self) -> Target:
        """What the graph is made for."""

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Stored shape of a value."""

    def dtype_of(self, name: str) -> str:
        """Dtype of a value."""

    def content_of(self, name: str) -> npt.NDArray[Any] | None:
        """Content of a constant; None for any other value."""

    def declare(self, dtype: str, shape: Sequence[int]) -> str:
        """A new value name."""

    def known(self, content: npt.NDArray[Any]) -> str:
        """Name of a constant."""


#: A pass maps the nodes, in topological order, to others that compute the same. Its second argument names the values that are
#: outputs of the graph (what the Identity nodes at the end copy); nodes no longer needed may stay, the builder drops them.
Pass = Callable[[Nodes, Sequence[str], Names], Nodes]


def made(names: Names, operator: str, inputs: Sequence[str], shape: Sequence[int], **attributes: Any) -> onnx.NodeProto:
    """A node with one output of the first input's dtype."""
    return helper.make_node(operator, inputs, [names.declare(names.dtype_of(inputs[0]), shape)], **attributes)


def reshaped(names: Names, source: str, shape: Sequence[int]) -> onnx.NodeProto:
    """A Reshape node; a Squeeze for the shape (), which as an empty constant makes TensorRT warn."""
    if not shape:
        return made(names, "Squeeze", [source], shape)
    return made(names, "Reshape", [source, names.known(np.array(shape, np.int64))], shape)


def with_inputs(node: onnx.NodeProto, renamed: Mapping[str, str]) -> onnx.NodeProto:
    """The node, or a copy of it that reads other values, in the graphs inside it too."""
    if not any(name in renamed for name in reads(node)):
        return node
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.input[:] = [renamed.get(name, name) for name in node.input]
    for inner in (one for graph in bodies(copy) for one in graph.node):
        inner.CopyFrom(with_inputs(inner, renamed))
    return copy


def bodies(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    """The graphs inside a node, as a Scan has one; their values have names that no others have."""
    return [one.g for one in node.attribute if one.type == onnx.AttributeProto.GRAPH]


def reads(node: onnx.NodeProto) -> list[str]:
    """What a node reads: its inputs, and what a graph inside it takes from outside."""
    names = list(node.input)
    for graph in bodies(node):
        own = {value.name for value in graph.input} | {name for inner in graph.node for name in inner.output}
        names += [name for inner in graph.node for name in reads(inner) if name not in own]
    return names


def producers(nodes: Sequence[onnx.NodeProto]) -> dict[str, onnx.NodeProto]:
    """The node that makes each value."""
    return {name: node for node in nodes for name in node.output}


def uses(nodes: Sequence[onnx.NodeProto]) -> dict[str, list[onnx.NodeProto]]:
    """The nodes that read each value."""
    result: dict[str, list[onnx.NodeProto]] = {}
    for node in nodes:
        for name in reads(node):
            result.setdefault(name, []).append(node)
    return result


def only_reader(
    name: str, operator: str, makers: Mapping[str, onnx.NodeProto], readers: Mapping[str, Sequence[onnx.NodeProto]]
) -> onnx.NodeProto | None:
    """The node that makes a value, if it is of this kind and the value has one reader."""
    maker = makers.get(name)
    return maker if maker is not None and maker.op_type == operator and len(readers[name]) == 1 else None


def attribute(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    """Value of an attribute."""
    return next((helper.get_attribute_value(one) for one in node.attribute if one.name == name), default)
