"""Where a model may be cut, and the module that a part of its calls makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from torch import fx, nn

from edgebll.learning.networks.cutting.opened_trace import PREFIX, OpenedTrace, layers_of


@dataclass(frozen=True)
class Place:
    """A place that a model may be cut at: after a call whose result alone is still needed.

    Attributes:
        index: of the call.
        names: the layers that end there, the outermost first; none where it is after a function.
    """

    index: int
    names: tuple[str, ...]


def places_of(trace: OpenedTrace) -> list[Place]:
    """All places that a model may be cut at, in order; not its end."""
    names: dict[int, list[str]] = {}
    for name, last in layer_ends(trace).items():
        names.setdefault(last, []).append(name)
    return [Place(index, tuple(names.get(index, ()))) for index in _narrow(trace.nodes)]


def layer_ends(trace: OpenedTrace) -> dict[str, int]:
    """Layer -> index of the last call that is made by it or inside of it."""
    return {name: index for index, node in enumerate(trace.nodes) for name in layers_of(node)}


def alive_after(trace: OpenedTrace, index: int) -> list[str]:
    """Names of the results that are still needed after a call, the samples among them."""
    return [_called(node) for node in _needed(trace.nodes)[index]]


def module_of(trace: OpenedTrace, start: int, end: int, name: str) -> nn.Module:
    """The module that makes the calls of a part; the layers in it are the model's own, under their own names.

    Args:
        trace: of the model.
        start: index of the first call.
        end: index of the last call.
        name: of the module's class.
    """
    graph, held = fx.Graph(), dict[str, Any]()
    before = trace.source if start == 0 else trace.nodes[start - 1]
    copies = {before: graph.placeholder("x")}
    for node in trace.nodes[start : end + 1]:
        for argument in node.all_input_nodes:
            if argument.op == "get_attr" and argument not in copies:
                copies[argument] = _copied(graph, argument, copies, held, trace)
        copies[node] = _copied(graph, node, copies, held, trace)
    graph.output(copies[trace.nodes[end]])
    return fx.GraphModule(held, graph, class_name=name)


def _copied(
    graph: fx.Graph, node: fx.Node, copies: dict[fx.Node, fx.Node], held: dict[str, Any], trace: OpenedTrace
) -> fx.Node:
    copy = graph.node_copy(node, copies.__getitem__)
    if node.op in ("call_module", "get_attr"):
        copy.target = str(node.target).removeprefix(PREFIX)
        held[copy.target] = reduce(getattr, str(node.target).split("."), trace.holder)
    return copy


def _narrow(nodes: Sequence[fx.Node]) -> list[int]:
    """Calls after which one value alone is still needed, which is theirs."""
    needed = _needed(nodes)
    return [index for index, node in enumerate(nodes[:-1]) if needed[index] == [node]]


def _needed(nodes: Sequence[fx.Node]) -> list[list[fx.Node]]:
    """For each call the values that later ones still need; tensors of the model's own are always there."""
    last = {source: index for index, node in enumerate(nodes) for source in node.all_input_nodes if source.op != "get_attr"}
    alive: dict[fx.Node, None] = {source: None for source in last if source.op == "placeholder"}
    found = []
    for index, node in enumerate(nodes):
        alive[node] = None
        alive = {value: None for value in alive if last.get(value, -1) > index}
        found.append(list(alive))
    return found


def _called(node: fx.Node) -> str:
    if node.op == "placeholder":
        return "the samples"
    if node.op == "call_module":
        return str(node.target).removeprefix(PREFIX)
    return str(getattr(node.target, "__name__", node.target))
