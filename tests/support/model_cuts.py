"""Cutting any model into blocks: where the whole of what is computed so far lies in one tensor."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import fx, nn


class _OneInput(nn.Module):
    """A model that is called with images alone, whatever else it would take."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x)


class _Tracer(fx.Tracer):
    def __init__(self, leaves: Sequence[str]) -> None:
        super().__init__()
        self.leaves = leaves

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Batch norms of other packages too: looked into, they would keep the mode that they are in now."""
        if isinstance(m, nn.modules.batchnorm._BatchNorm) or type(m).__name__ in self.leaves:
            return True
        return super().is_leaf_module(m, module_qualified_name)


def cut(model: nn.Module, blocks: int, leaves: Sequence[str] = ()) -> list[nn.Module]:
    """The model as so many modules, one after another, each with about as many of its parameterised layers.

    Args:
        model: its modules become the blocks' own. leaves: names of classes of modules that are not looked into.
    """
    model = _OneInput(model)
    graph = _Tracer(leaves).trace(model)
    nodes = [node for node in graph.nodes if node.op not in ("placeholder", "get_attr", "output")]
    ends = _ends(_narrow(nodes), [_is_layer(model, node) for node in nodes], blocks)
    edges = [-1, *ends, len(nodes) - 1]
    (source,) = graph.find_nodes(op="placeholder")
    made = []
    for start, end in itertools.pairwise(edges):
        made.append(_block(model, source if start < 0 else nodes[start], nodes[start + 1 : end + 1]))
    return made


def _block(model: nn.Module, source: fx.Node, nodes: Sequence[fx.Node]) -> nn.Module:
    """The module that computes these nodes from the value of `source`; tensors of the model's own come along."""
    graph = fx.Graph()
    copies = {source: graph.placeholder("x")}
    for node in nodes:
        for argument in node.all_input_nodes:
            if argument.op == "get_attr" and argument not in copies:
                copies[argument] = graph.node_copy(argument)
        copies[node] = graph.node_copy(node, copies.__getitem__)
    graph.output(copies[nodes[-1]])
    return fx.GraphModule(model, graph)


def _is_layer(model: nn.Module, node: fx.Node) -> bool:
    return node.op == "call_module" and any(True for _ in model.get_submodule(str(node.target)).parameters())


def _narrow(nodes: Sequence[fx.Node]) -> list[int]:
    """Places after which one value alone is still needed, which the node there computes."""
    last = {source: place for place, node in enumerate(nodes) for source in node.all_input_nodes if source.op != "get_attr"}
    alive: set[fx.Node] = set()
    found = []
    for place, node in enumerate(nodes[:-1]):
        alive = {value for value in alive if last[value] > place}
        alive |= {node} if last.get(node, -1) > place else set()
        if alive == {node}:
            found.append(place)
    return found


def _ends(places: Sequence[int], weights: Sequence[bool], blocks: int) -> list[int]:
    """For each block but the last, the place that is nearest to an even share of the weights."""
    total = sum(weights)
    return [
        min(places, key=lambda p, share=share: abs(sum(weights[: p + 1]) - share * total / blocks))
        for share in range(1, blocks)
    ]


def same(model: nn.Module, blocks: Sequence[nn.Module], x: torch.Tensor) -> bool:
    """Whether the blocks in a row compute what the model does, for evaluation."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            expected, found = model(x), x
            for block in blocks:
                found = block.eval()(found)
    finally:
        for module, mode in modes:
            module.training = mode
        for block in blocks:
            block.train()
    return torch.equal(expected, found)
