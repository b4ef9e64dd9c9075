"""Traces without writes: in-place operators become their pure counterparts, also where they write through a view.

`y[:, 0] = z` writes into a view of y, and every later reader of y sees it. PyTorch's functionalisation turns that into
select_scatter and hands the new y to the readers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.fx.traceback as fx_traceback
from torch import Tensor, fx
from torch.func import functionalize
from torch.fx.experimental.proxy_tensor import make_fx


class _Lifting(fx.Interpreter):
    """Runs a trace; constants are lifted, so that writes into values made from them alone are seen too."""

    def get_attr(self, *args: Any) -> Any:
        return torch.ops.aten.lift_fresh_copy.default(super().get_attr(*args))


def without_writes(
    module: fx.GraphModule, inputs: Sequence[Tensor], decompositions: Mapping[Any, Callable[..., Any]]
) -> fx.GraphModule:
    """The same function, traced again where some operator writes in place; operators keep their place in the network.

    `decompositions` are those that the module was traced with: an operator such as lerp_ shows only here as the lerp that they
    take apart. Batch norm's running statistics, which PyTorch does not declare as written, stay with its lowering.
    """
    if not any(_writes(node) for node in module.graph.nodes):
        return module

    def run(*values: Tensor) -> list[Tensor]:
        result: list[Tensor] = _Lifting(module).run(*values)
        return result

    with fx_traceback.preserve_node_meta():
        pure = functionalize(run, remove="mutations")
        table = {**decompositions, **_STRIDED}
        return make_fx(pure, decomposition_table=table, tracing_mode="fake", _allow_non_fake_inputs=True)(*inputs)


def _as_strided(x: Tensor, size: Sequence[int], stride: Sequence[int], offset: int | None = None) -> Tensor:
    """Elements of a dense tensor by their places in memory: the gradient of a write into a view reads so."""
    return _flat(x).index_select(0, _places(size, stride, offset).flatten()).reshape(tuple(size))


def _as_strided_scatter(
    x: Tensor, source: Tensor, size: Sequence[int], stride: Sequence[int], offset: int | None = None
) -> Tensor:
    """A dense tensor with other elements at some places in memory."""
    places = _places(size, stride, offset).flatten()
    return _flat(x).scatter(0, places, source.reshape(-1)).reshape(x.shape)


def _new_empty_strided(x: Tensor, size: Sequence[int], stride: Sequence[int], **options: Any) -> Tensor:
    """All of it is written before it is read."""
    return x.new_zeros(tuple(size), dtype=options.get("dtype"))


def _flat(x: Tensor) -> Tensor:
    if not x.is_contiguous() or x.storage_offset():
        raise NotImplementedError("a tensor that is not contiguous is read by its strides; call .contiguous() on it first")
    return x.reshape(-1)


def _places(size: Sequence[int], stride: Sequence[int], offset: int | None) -> Tensor:
    places = np.full(tuple(size), offset or 0, np.int64)
    for axis, (count, step) in enumerate(zip(size, stride, strict=True)):
        places += (np.arange(count) * step).reshape((count,) + (1,) * (len(size) - axis - 1))
    return torch.from_numpy(places)


_aten = torch.ops.aten
_STRIDED: dict[Any, Callable[..., Any]] = {
    _aten.as_strided.default: _as_strided,
    _aten.as_strided_scatter.default: _as_strided_scatter,
    _aten.new_empty_strided.default: _new_empty_strided,
}


def _writes(node: fx.Node) -> bool:
    return isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable
