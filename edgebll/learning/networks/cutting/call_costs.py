"""What each call of a model costs: multiply-accumulates, and the shape of what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils.flop_counter import FlopCounterMode

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.own_code.error_place import summary
from edgebll.learning.modules.module_record import untouched
from edgebll.learning.networks.cutting.opened_trace import OpenedTrace


@dataclass(frozen=True)
class CallCost:
    """One call of a model.

    Attributes:
        macs: multiply-accumulates of products and convolutions, a sample.
        shape: of one sample of what it gives; None where that is no tensor with a batch axis.
    """

    macs: int
    shape: tuple[int, ...] | None


def call_costs(trace: OpenedTrace, model: nn.Module, x: Tensor) -> list[CallCost]:
    """The cost of every call, found by running the model on a batch for evaluation; nothing of it is changed.

    Args:
        trace: of the model.
        model: it.
        x: the batch.

    Raises:
        ConfigError: it does not take such samples.
    """
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {trace.source: graph.placeholder("x")}
    for node in trace.nodes:
        for one in (*(argument for argument in node.all_input_nodes if argument.op == "get_attr"), node):
            if one not in copies:
                copies[one] = graph.node_copy(one, copies.__getitem__)
    graph.output(copies[trace.nodes[-1]])
    counting = _Counting(fx.GraphModule(trace.holder, graph), len(x))
    with untouched(model), torch.no_grad():
        model.eval()
        try:
            counting.run(x)
        except Exception as error:  # anything can happen in a module of the user's own
            raise ConfigError(f"it does not take samples of shape {tuple(x.shape[1:])}: {summary(error)}") from error
    return [counting.costs[copies[node].name] for node in trace.nodes]


class _Counting(fx.Interpreter):
    def __init__(self, module: fx.GraphModule, batch: int) -> None:
        super().__init__(module)
        self.costs: dict[str, CallCost] = {}
        self._batch = batch

    def run_node(self, n: fx.Node) -> Any:
        with FlopCounterMode(display=False) as counter:
            result = super().run_node(n)
        is_batch = isinstance(result, Tensor) and result.shape[:1] == (self._batch,)
        shape = tuple(result.shape[1:]) if is_batch else None
        self.costs[n.name] = CallCost(counter.get_total_flops() // (2 * self._batch), shape)
        return result


def layer_macs(trace: OpenedTrace, costs: list[CallCost]) -> Mapping[str, int]:
    """Multiply-accumulates of each layer that is called whole, by its name in the trace."""
    found: dict[str, int] = {}
    for node, cost in zip(trace.nodes, costs, strict=True):
        if node.op == "call_module":
            found[str(node.target)] = found.get(str(node.target), 0) + cost.macs
    return found
