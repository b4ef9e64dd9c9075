"""Values that do not depend on any input: computed by PyTorch at export, so that graphs hold masks, positions and tables as constants."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import Tensor, fx

from edgebll_export.trace import Trace

#: Larger results are left to the runtime: the file would grow by them.
_MAX_ELEMENTS = 1 << 20
#: Of these only the shape of the argument matters.
_BY_SHAPE = frozenset(
    f"aten.{name}.default" for name in ("zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full")
)


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
    if any(size > _MAX_ELEMENTS for size in _sizes(node.meta.get("val"))):
        return False
    if str(node.target) in _BY_SHAPE:
        return True
    if any(argument not in known for argument in node.all_input_nodes):
        return False
    if node.target is operator.getitem:
        return True
    if not isinstance(node.target, torch._ops.OpOverload) or node.target.namespace != "aten":
        return False
    tags = node.target.tags
    return not node.target._schema.is_mutable and torch.Tag.nondeterministic_seeded not in tags


def _sizes(value: Any) -> list[int]:
    values = value if isinstance(value, (list, tuple)) else [value]
    return [part.numel() for part in values if isinstance(part, Tensor)]


def _computed(node: fx.Node, known: dict[fx.Node, Any]) -> Any:
    def content(argument: fx.Node) -> Any:
        if argument in known:
            return known[argument]
        fake = argument.meta["val"]
        return torch.empty(fake.shape, dtype=fake.dtype, device="meta")

    arguments = fx.map_arg(node.args, content)
    options = {**fx.map_arg(node.kwargs, content)}
    if "device" in options or str(node.target) in _BY_SHAPE:
        options["device"] = "cpu"
    with torch.no_grad():
        return node.target(*arguments, **options)
