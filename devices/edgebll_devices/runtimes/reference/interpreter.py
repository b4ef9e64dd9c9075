"""Runs a graph's nodes one after another and lets go of every value after its last use."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from edgebll.kernel.bundle.onnx_file import Node, OnnxGraph
from edgebll.kernel.errors import BundleError
from edgebll.kernel.execution.block_runtime import Tensor
from edgebll_devices.runtimes.reference.operators import OPERATORS


class Program:
    """A checked graph.

    Attributes:
        graph: what runs.

    Args:
        around: for a graph inside a node, names of the values it may take from around that.

    Raises:
        BundleError: an unknown operator or attribute, a wrong number of inputs or outputs, or a value used before it is made.
    """

    def __init__(self, graph: OnnxGraph, around: Collection[str] = ()) -> None:
        self.graph = graph
        self._bodies: list[Program | None] = []
        known = {tensor.name for tensor in graph.inputs} | set(graph.constants) | set(around) | {""}
        for node in graph.nodes:
            _check_node(node)
            body = node.attributes.get("body")
            self._bodies.append(Program(body, known) if isinstance(body, OnnxGraph) else None)
            for name in node.inputs:
                if name not in known:
                    raise BundleError(f"the {node} uses {name!r}, which nothing made before")
            made = {name for name in node.outputs if name}
            if made & known or len(made) != sum(map(bool, node.outputs)):
                raise BundleError(f"the {node} makes a value that exists already")
            known |= made
        missing = {tensor.name for tensor in graph.outputs} - known
        if missing:
            raise BundleError(f"no node makes the output {min(missing)!r}")
        self._dead_after = _last_uses(graph)

    def run(self, inputs: Mapping[str, Tensor], around: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Compute all outputs; new arrays, or copies where an output is an input or a constant.

        Args:
            inputs: by name; all of the graph's.
            around: for a graph inside a node, the values around it.

        Raises:
            BundleError: a node's inputs do not fit its operator, or an output has another dtype or shape than declared.
        """
        values: dict[str, Any] = {"": None, **(around or {}), **self.graph.constants, **inputs}
        with np.errstate(all="ignore"):
            for node, body, dead in zip(self.graph.nodes, self._bodies, self._dead_after, strict=True):
                attributes = node.attributes if body is None else {**node.attributes, "body": body.function(values)}
                results = _apply(node, attributes, [values[name] for name in node.inputs])
                values.update(zip(node.outputs, results, strict=False))
                values[""] = None
                for name in dead:
                    del values[name]
        made = {tensor.name: np.array(values[tensor.name], order="C") for tensor in self.graph.outputs}
        for tensor in self.graph.outputs:
            tensor.check(made[tensor.name], "a result")
        return made

    def function(self, around: Mapping[str, Tensor]) -> Callable[..., list[Tensor]]:
        """This graph, which is inside a node, as a function of its inputs in order."""
        tensors = self.graph.inputs
        taken = {name: around[name] for name in self.graph.free}

        def apply(*inputs: Tensor) -> list[Tensor]:
            if len(inputs) != len(tensors):
                raise BundleError(f"the graph inside takes {len(tensors)} inputs, not {len(inputs)}")
            for tensor, value in zip(tensors, inputs, strict=True):
                tensor.check(value, "an input of the graph inside")
            return list(self.run({tensor.name: value for tensor, value in zip(tensors, inputs, strict=True)}, taken).values())

        return apply


def _check_node(node: Node) -> None:
    operator = OPERATORS.get(node.operator)
    if operator is None:
        raise BundleError(f"the {node} has an operator the reference runtime does not have")
    unknown = set(node.attributes) - operator.attributes
    if unknown:
        raise BundleError(f"the {node} has the attribute {min(unknown)!r}, which the reference runtime does not know")
    fewest, most = operator.num_inputs
    if not fewest <= len(node.inputs) <= most:
        raise BundleError(f"the {node} has {len(node.inputs)} inputs")
    if not 1 <= len(node.outputs) <= operator.max_outputs:
        raise BundleError(f"the {node} has {len(node.outputs)} outputs, of which {operator.max_outputs} are known")


def _apply(node: Node, attributes: Mapping[str, Any], inputs: Sequence[Any]) -> tuple[Any, ...]:
    try:
        results = OPERATORS[node.operator](inputs, attributes, len(node.outputs))
    except BundleError as error:
        raise BundleError(f"the {node}: {error}") from error
    except (ValueError, TypeError, IndexError, AttributeError, ArithmeticError, MemoryError) as error:
        shapes = ", ".join("none" if value is None else f"{value.dtype.name}{list(value.shape)}" for value in inputs)
        reason = str(error) or type(error).__name__
        raise BundleError(f"the {node} does not take the inputs {shapes} ({reason})") from error
    if len(results) < len(node.outputs):
        raise BundleError(f"the {node} makes {len(results)} values and names {len(node.outputs)}")
    return results


def _last_uses(graph: OnnxGraph) -> list[list[str]]:
    last: dict[str, int] = {}
    for index, node in enumerate(graph.nodes):
        last.update((name, index) for name in (*node.inputs, *node.captured, *node.outputs) if name)
    for tensor in graph.outputs:
        last.pop(tensor.name, None)
    dead: list[list[str]] = [[] for _ in graph.nodes]
    for name, index in last.items():
        dead[index].append(name)
    return dead
