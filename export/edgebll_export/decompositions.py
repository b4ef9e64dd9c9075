"""ATen operators that are traced in parts: PyTorch's own decompositions into operators that have lowerings.

Taken where a lowering of ours would compute nothing faster. A registered lowering of the operator goes first, so anybody can
replace a decomposition by registering one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch._decomp import decomposition_table

from edgebll_export.registry import LOWERINGS

#: Family -> operators of namespace aten, name or name.overload.
DECOMPOSED: Mapping[str, tuple[str, ...]] = {
    "element-wise": (),
}


def decompositions() -> dict[Any, Callable[..., Any]]:
    """Operator -> decomposition, for `make_fx`."""
    wanted = {overload(name) for names in DECOMPOSED.values() for name in names}
    return {operator: decomposition_table[operator] for operator in wanted if str(operator) not in LOWERINGS}


def overload(name: str) -> Any:
    """The operator of namespace aten called "name" or "name.overload"."""
    packet, _, kind = name.partition(".")
    return getattr(getattr(torch.ops.aten, packet), kind or "default")
