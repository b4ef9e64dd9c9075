"""Traces without writes: in-place operators become their pure counterparts, also where they write through a view.

`y[:, 0] = z` writes into a view of y, and every later reader of y sees it. PyTorch's functionalisation turns that into
select_scatter and hands the new y to the readers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.fx.traceback as fx_traceback
from torch import Tensor, fx
from torch.func import functionalize
from torch.fx.experimental.proxy_tensor import make_fx


class _Lifting(fx.Interpreter):
    """Runs a trace; constants are lifted, so that writes into values made from them alone are seen too."""

    def get_attr(self, *args: Any) -> Any:
        return torch.ops.aten.lift_fresh_copy.default(super().get_attr(*args))


def without_writes(module: fx.GraphModule, inputs: Sequence[Tensor]) -> fx.GraphModule:
    """The same function, traced again where some operator writes in place; operators keep their place in the network.

    Batch norm's running statistics, which PyTorch does not declare as written, stay with its lowering.
    """
    if not any(_writes(node) for node in module.graph.nodes):
        return module

    def run(*values: Tensor) -> list[Tensor]:
        result: list[Tensor] = _Lifting(module).run(*values)
        return result

    with fx_traceback.preserve_node_meta():
        pure = functionalize(run, remove="mutations")
        return make_fx(pure, tracing_mode="fake", _allow_non_fake_inputs=True)(*inputs)


def _writes(node: fx.Node) -> bool:
    return isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable
