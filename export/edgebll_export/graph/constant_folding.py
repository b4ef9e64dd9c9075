"""Values that depend on no input, computed by PyTorch at export: graphs hold masks, positions and tables as constants."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import Tensor, fx

from edgebll_export.tracing.trace import Trace

#: Larger results are left to the runtime: the file would grow by them.
_MAX_ELEMENTS = 1 << 20
#: Of these only the shape of the argument matters; what torch.empty holds is nobody's to read.
_BY_SHAPE = {
    **{f"aten.{name}.default": 0 for name in ("zeros_like", "new_zeros", "empty_like", "new_empty", "new_empty_strided")},
    "aten.empty.memory_format": 0,
    "aten.zeros.default": 0,
    "aten.zero.default": 0,
    **{f"aten.{name}.default": 1 for name in ("ones_like", "new_ones", "ones")},
    **{f"aten.{name}.default": None for name in ("full_like", "new_full", "full")},
}


def known_tensors(traced: Trace) -> dict[fx.Node, Tensor]:
    """The nodes whose content is known at export."""
    known: dict[fx.Node, Any] = {}
    for node in traced.module.graph.nodes:
        if node.op == "get_attr":
            known[node] = getattr(traced.module, str(node.target))
        elif node.op == "call_function" and _foldable(node, known):
            known[node] = _computed(node, known)
    return {node: value for node, value in known.items() if isinstance(value, Tensor)}


def _foldable(node: fx.Node, known: dict[fx.Node, Any]) -> bool:
    if str(node.target) in _BY_SHAPE:
        return True
    if any(argument not in known for argument in node.all_input_nodes) or node.meta.get("val") is None:
        return False
    if node.target is operator.getitem:
        return True
    if not isinstance(node.target, torch._ops.OpOverload) or node.target.namespace != "aten":
        return False
    pure = not node.target._schema.is_mutable and torch.Tag.nondeterministic_seeded not in node.target.tags
    return pure and all(size <= _MAX_ELEMENTS for size in _sizes(node.meta.get("val")))


def _sizes(value: Any) -> list[int]:
    values = value if isinstance(value, (list, tuple)) else [value]
    return [part.numel() for part in values if isinstance(part, Tensor)]


def _computed(node: fx.Node, known: dict[fx.Node, Any]) -> Any:
    if str(node.target) in _BY_SHAPE:
        fake, number = node.meta["val"], _BY_SHAPE[str(node.target)]
        return torch.tensor(node.args[-1] if number is None else number, dtype=fake.dtype).expand(fake.shape)
    arguments = fx.map_arg(node.args, known.__getitem__)
    options = {**fx.map_arg(node.kwargs, known.__getitem__)}
    if "device" in options:
        options["device"] = "cpu"
    with torch.no_grad():
        return node.target(*arguments, **options)  # type: ignore[operator]
