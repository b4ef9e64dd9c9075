"""Runs a graph's nodes one after another and lets go of every value after its last use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgebll.errors import BundleError
from edgebll_devices.runtimes.base import Tensor
from edgebll_devices.runtimes.reference.onnx_file import Graph, Node
from edgebll_devices.runtimes.reference.operators import OPERATORS


class Program:
    """A checked graph.

    Attributes:
        graph: what runs.

    Raises:
        BundleError: an unknown operator or attribute, a wrong number of inputs or outputs, or a value used before it is made.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        known = {tensor.name for tensor in graph.inputs} | set(graph.constants) | {""}
        for node in graph.nodes:
            _check_node(node)
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

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Compute all outputs; new arrays, or copies where an output is an input or a constant.

        Raises:
            BundleError: a node's inputs do not fit its operator, or an output has another dtype or shape than declared.
        """
        values: dict[str, Any] = {"": None, **self.graph.constants, **inputs}
        with np.errstate(all="ignore"):
            for node, dead in zip(self.graph.nodes, self._dead_after, strict=True):
                values.update(zip(node.outputs, _apply(node, [values[name] for name in node.inputs]), strict=False))
                values[""] = None
                for name in dead:
                    del values[name]
        results = {tensor.name: np.array(values[tensor.name], order="C") for tensor in self.graph.outputs}
        for tensor in self.graph.outputs:
            tensor.check(results[tensor.name], "a result")
        return results


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


def _apply(node: Node, inputs: Sequence[Any]) -> tuple[Any, ...]:
    try:
        results = OPERATORS[node.operator](inputs, node.attributes, len(node.outputs))
    except BundleError as error:
        raise BundleError(f"the {node}: {error}") from error
    except (ValueError, TypeError, IndexError, AttributeError, ArithmeticError, MemoryError) as error:
        shapes = ", ".join("none" if value is None else f"{value.dtype.name}{list(value.shape)}" for value in inputs)
        reason = str(error) or type(error).__name__
        raise BundleError(f"the {node} does not take the inputs {shapes} ({reason})") from error
    if len(results) < len(node.outputs):
        raise BundleError(f"the {node} makes {len(results)} values and names {len(node.outputs)}")
    return results


def _last_uses(graph: Graph) -> list[list[str]]:
    last: dict[str, int] = {}
    for index, node in enumerate(graph.nodes):
        last.update((name, index) for name in (*node.inputs, *node.outputs) if name)
    for tensor in graph.outputs:
        last.pop(tensor.name, None)
    dead: list[list[str]] = [[] for _ in graph.nodes]
    for name, index in last.items():
        dead[index].append(name)
    return dead
