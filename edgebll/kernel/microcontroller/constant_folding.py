"""Scales and shifts by constants that follow one another become one of each: batch norm with frozen statistics, scales of int8.

It rounds at other places, so it is for forward passes with frozen weights: training steps compute what their graph says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edgebll.kernel.microcontroller.expressions import NUMBER, Expression, parts
from edgebll.kernel.microcontroller.kernels import PlannedKernel, Reduction
from edgebll.kernel.microcontroller.scaled_views import constant, held

_Numbers = np.ndarray[Any, Any]
#: base * scale + shift, of a program's grid with 1 along axes where they repeat.
_Affine = tuple[Expression, _Numbers, _Numbers]


def with_folded_constants(kernel: PlannedKernel) -> PlannedKernel:
    """A kernel that computes the same with fewer instructions in its programs.

    Args:
        kernel: as it is.
    """
    roots, source = _Folding(kernel.roots, kernel.shape).roots(), kernel.source
    stores = tuple((view, root) for (view, _), root in zip(kernel.stores, roots, strict=True))
    if isinstance(source, Reduction):
        (summand,) = _Folding([source.summand], (*kernel.shape, *source.shape)).roots()
        source = replace(source, summand=summand)
    return replace(kernel, stores=stores, source=source)


class _Folding:
    def __init__(self, roots: Sequence[Expression], grid: tuple[int, ...]) -> None:
        self._roots, self._grid = roots, grid
        self._uses = Counter(id(argument) for part in parts(roots) for argument in part.arguments)
        self._uses.update(id(root) for root in roots)
        self._made: dict[int, Expression] = {}

    def roots(self) -> list[Expression]:
        return [self._folded(root) for root in self._roots]

    def _folded(self, part: Expression) -> Expression:
        """The same value; what is used twice is computed once, as before."""
        if id(part) not in self._made:
            self._made[id(part)] = self._built(*self._affine(part, first=True)) if part.arguments else part
        return self._made[id(part)]

    def _affine(self, part: Expression, first: bool = False) -> _Affine:
        one, nothing = np.ones(1, np.float32), np.zeros(1, np.float32)
        if not first and self._uses[id(part)] > 1:
            return self._folded(part), one, nothing
        constants = [self._constant(argument) for argument in part.arguments]
        if part.operator in ("mul", "add", "sub") and [known is None for known in constants].count(True) == 1:
            place = 0 if constants[0] is None else 1
            known = constants[1 - place]
            assert known is not None  # noqa: S101  (the other one is not)
            base, scale, shift = self._affine(part.arguments[place])
            if part.operator == "mul":
                return base, scale * known, shift * known
            if part.operator == "add":
                return base, scale, shift + known
            return (base, scale, shift - known) if place == 0 else (base, -scale, known - shift)
        return part, one, nothing

    def _built(self, base: Expression, scale: _Numbers, shift: _Numbers) -> Expression:
        if base.operator == "relu" and self._uses[id(base)] == 1 and not shift.any() and (scale > 0).all():
            inner, inner_scale, inner_shift = self._affine(base.arguments[0])
            return Expression("relu", (self._built(inner, inner_scale * scale, inner_shift * scale),))
        value = base
        if base.arguments and id(base) in self._uses:  # else it was folded before
            value = Expression(base.operator, tuple(self._folded(argument) for argument in base.arguments))
        if (scale != 1).any():
            value = Expression("mul", (value, constant(scale, self._grid)))
        return Expression("add", (value, constant(shift, self._grid))) if shift.any() else value

    def _constant(self, part: Expression) -> _Numbers | None:
        if part.operator == NUMBER:
            return np.full(1, part.number, np.float32)
        return held(part.view) if part.view is not None and part.view.buffer.dtype == "float32" else None
