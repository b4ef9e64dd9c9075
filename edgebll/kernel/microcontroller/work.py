"""About how many instructions kernels take: enough to tell whether computing something again beats a kernel of its own.

The weights are those of the C interpreter on a Cortex-M4F, to one figure; only the choice among equal plans rests on them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from edgebll.kernel.microcontroller.expressions import COSTLY, Expression, parts
from edgebll.kernel.microcontroller.kernels import MatrixProduct, PlannedKernel, Reduction, WindowSum

_KERNEL, _OPERATION, _COSTLY_OPERATION, _PRODUCT = 500, 10, 60, 6


def program_work(roots: Sequence[Expression]) -> int:
    """Of an element program at one position; a load or a store alone counts as one operation."""
    operations = [part.operator for part in parts(roots) if part.arguments]
    moves = sum(not root.arguments for root in roots)
    return moves * _OPERATION + sum(_COSTLY_OPERATION if name in COSTLY else _OPERATION for name in operations)


def kernel_work(kernel: PlannedKernel) -> int:
    """Of one kernel."""
    positions, source = math.prod(kernel.shape), kernel.source
    work = _KERNEL + positions * program_work(kernel.roots)
    if isinstance(source, Reduction):
        work += positions * math.prod(source.shape) * (_OPERATION + program_work([source.summand]))
    elif isinstance(source, MatrixProduct):
        work += positions * source.a.shape[-1] * _PRODUCT
    elif isinstance(source, WindowSum):
        work += positions * math.prod(source.weight.shape[2:]) * _PRODUCT
    return work


def total_work(kernels: Iterable[PlannedKernel]) -> int:
    """Of all kernels."""
    return sum(kernel_work(kernel) for kernel in kernels)
