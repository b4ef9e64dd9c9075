"""ATen operators that are traced in parts: by PyTorch's own decompositions, or by ours (see `edgebll_export.composites`).

Taken where a lowering of ours would compute nothing faster. A registered lowering of the operator goes first, so anybody can
replace a decomposition by registering one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._decomp import decomposition_table

from edgebll_export.composites import COMPOSITES
from edgebll_export.lowering_registry import LOWERINGS

#: Family -> operators of namespace aten, name or name.overload.
DECOMPOSED: Mapping[str, tuple[str, ...]] = {
    "activation": ("glu", "glu_backward", "hardshrink", "softshrink", "threshold"),
    "element-wise": ("addcdiv", "addcmul", "clamp_max", "lerp.Scalar", "lerp.Tensor", "logit", "logit_backward"),
    "linear": ("addmv", "addr"),
    "loss": (
        *("binary_cross_entropy", "binary_cross_entropy_backward", "binary_cross_entropy_with_logits"),
        *("huber_loss", "huber_loss_backward", "mse_loss", "mse_loss_backward", "smooth_l1_loss", "smooth_l1_loss_backward"),
        *("soft_margin_loss", "soft_margin_loss_backward"),
    ),
    "reduction": ("aminmax", "linalg_vector_norm", "logsumexp", "norm.ScalarOpt_dim"),
    "shape": ("channel_shuffle", "diag_embed", "pixel_shuffle", "pixel_unshuffle", "tril", "triu", "unbind.int"),
}


def decompositions() -> dict[Any, Callable[..., Any]]:
    """Operator -> decomposition, for `make_fx`."""
    wanted = {overload(name) for names in DECOMPOSED.values() for name in names}
    table = {operator: decomposition_table[operator] for operator in wanted if str(operator) not in LOWERINGS}
    own = {overload(name.removeprefix("aten.")): entry.function for name, entry in COMPOSITES.items() if name not in LOWERINGS}
    group_norm = torch.ops.aten.native_group_norm_backward.default
    return {**table, **own, torch.ops.prims.copy_strided.default: _copy_strided, group_norm: _group_norm_backward}


def _copy_strided(x: Tensor, stride: Sequence[int]) -> Tensor:
    """A dense tensor in another layout, which some decompositions end with."""
    order = sorted(range(x.ndim), key=lambda axis: -stride[axis])
    return x.permute(order).contiguous().permute([order.index(axis) for axis in range(x.ndim)])


def _group_norm_backward(grad: Tensor, x: Tensor, mean: Tensor, inverse_std: Tensor, weight: Tensor | None, *sizes: Any) -> Any:
    """In float32 for half precision: beside float32 weights PyTorch's tracing tells other dtypes than its kernel gives."""
    if x.dtype not in (torch.float16, torch.bfloat16):
        return NotImplemented
    wide = [tensor.float() for tensor in (grad, x, mean, inverse_std)]
    given = None if weight is None else weight.float()
    found = torch.ops.aten.native_group_norm_backward(*wide, given, *sizes)
    kind = x.dtype if weight is None else weight.dtype
    return tuple(None if part is None else part.to(dtype) for part, dtype in zip(found, (x.dtype, kind, kind), strict=True))


def overload(name: str) -> Any:
    """The operator of namespace aten called "name" or "name.overload"."""
    packet, _, kind = name.partition(".")
    return getattr(getattr(torch.ops.aten, packet), kind or "default")
