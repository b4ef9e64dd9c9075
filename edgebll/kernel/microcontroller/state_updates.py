"""Where the next value of each state tensor is written: in the old one's place, if all who read that can come earlier."""

from __future__ import annotations

from collections.abc import Mapping

from edgebll.kernel.microcontroller.dependencies import in_order, is_allowed
from edgebll.kernel.microcontroller.expressions import load
from edgebll.kernel.microcontroller.kernels import PlannedKernel, element_kernel
from edgebll.kernel.microcontroller.views import BufferRole, PlannedBuffer, StridedView


def with_updates(kernels: list[PlannedKernel], updates: Mapping[PlannedBuffer, StridedView]) -> list[PlannedKernel]:
    """Kernels that also leave the next state where the old one was.

    Args:
        kernels: of the graph, in its order.
        updates: state tensor -> view of its next value, of its size.
    """
    for state, view in updates.items():
        if view.buffer is state and view.is_whole:
            continue
        kernels = _in_place(kernels, state, view) or _by_copy(kernels, state, view)
    return kernels


def _in_place(kernels: list[PlannedKernel], state: PlannedBuffer, view: StridedView) -> list[PlannedKernel] | None:
    """The kernels, if the next value can be written where the state is."""
    result = view.buffer
    if result.role is not BufferRole.TEMPORARY or result.home is not None or not view.is_whole or state.dtype != result.dtype:
        return None
    result.home = state
    makers = [kernel for kernel in kernels if result in kernel.writes]
    if all(is_allowed(kernel) for kernel in makers) and in_order(kernels) is not None:
        return kernels
    result.home = None
    return None


def _by_copy(kernels: list[PlannedKernel], state: PlannedBuffer, view: StridedView) -> list[PlannedKernel]:
    """The kernels and a copy behind them; of what was copied before, where states change places."""
    copy = element_kernel(state.whole(), load(view), float(len(kernels)))
    if is_allowed(copy) and in_order([*kernels, copy]) is not None:
        return [*kernels, copy]
    kept = PlannedBuffer(f"next {state.name}", state.shape).whole()
    first = element_kernel(kept, load(view), float(len(kernels)))
    return [*kernels, first, element_kernel(state.whole(), load(kept), float(len(kernels) + 1))]
