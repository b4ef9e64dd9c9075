"""Which ATen operator is traced as which function of others.

Where a form of ours is faster, smaller or better to keep static than PyTorch's own decomposition, or where it has none. The
function takes the operator's own arguments and calls operators that have lowerings. A lowering is better where the ONNX form
depends on the target or on more than ATen operators can say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

Written = TypeVar("Written", bound=Callable[..., Any])


@dataclass(frozen=True)
class Composite:
    """An entry of the table: ATen operator, family (for the operator table) and the function."""

    operator: str
    family: str
    function: Callable[..., Any]


COMPOSITES: dict[str, Composite] = {}


def composite(*operators: str, family: str) -> Callable[[Written], Written]:
    """Register a function for ATen operators such as "aten.linalg_inv_ex.default"."""

    def register(function: Written) -> Written:
        for operator in operators:
            COMPOSITES[operator] = Composite(operator, family, function)
        return function

    return register
