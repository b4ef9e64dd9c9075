"""Which ATen operator is lowered by which function.

A lowering takes the graph builder and the operator's arguments, with tensors as `Value`s, and returns its result: a Value, or a
tuple of them (None for one that is not needed). docs/how-to/add-an-operator.md shows how to teach edgebll an operator of
your own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

Lower = TypeVar("Lower", bound=Callable[..., Any])


@dataclass(frozen=True)
class Lowering:
    """An entry of the registry: ATen operator, family (for the operator table) and the function."""

    operator: str
    family: str
    function: Callable[..., Any]
    #: positions of arguments the operator overwrites, with the position among its results that holds the new content
    writes: tuple[tuple[int, int], ...] = ()


LOWERINGS: dict[str, Lowering] = {}
#: The same for operators with complex arguments or results, which are `Complex`: two real tensors.
COMPLEX_LOWERINGS: dict[str, Lowering] = {}


def lowering(*operators: str, family: str, writes: tuple[tuple[int, int], ...] = ()) -> Callable[[Lower], Lower]:
    """Register a function for ATen operators such as "aten.relu.default"; a later registration replaces an earlier one."""

    def register(function: Lower) -> Lower:
        for operator in operators:
            LOWERINGS[operator] = Lowering(operator, family, function, writes)
        return function

    return register


def complex_lowering(*operators: str) -> Callable[[Lower], Lower]:
    """Register a function for ATen operators where an argument or the result is complex."""

    def register(function: Lower) -> Lower:
        for operator in operators:
            COMPLEX_LOWERINGS[operator] = Lowering(operator, "complex numbers", function)
        return function

    return register
