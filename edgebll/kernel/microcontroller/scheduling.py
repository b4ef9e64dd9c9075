"""Orders of kernels: the graph's, and one that always takes what frees most. The one that needs less memory is chosen."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from edgebll.kernel.microcontroller.dependencies import successors
from edgebll.kernel.microcontroller.kernels import PlannedKernel
from edgebll.kernel.microcontroller.lifetimes import peak_bytes, storages
from edgebll.kernel.microcontroller.views import PlannedBuffer


def scheduled(
    order: Sequence[PlannedKernel], inputs: Sequence[PlannedBuffer], outputs: Collection[PlannedBuffer]
) -> list[PlannedKernel]:
    """The better of the order given and a greedy one.

    Args:
        order: kernels in an allowed order.
        inputs: buffers that are written before.
        outputs: buffers that are read afterwards.
    """
    orders = [list(order), _greedy(order, outputs)]
    return min(orders, key=lambda one: peak_bytes(storages(one, inputs, outputs), len(one)))


class _Greedy:
    """What is left to do while an order is made."""

    def __init__(self, kernels: Sequence[PlannedKernel], outputs: Collection[PlannedBuffer]) -> None:
        self.kernels, self._outputs = kernels, outputs
        self._left: dict[PlannedBuffer, int] = {}
        for kernel in kernels:
            for buffer in kernel.reads:
                self._left[buffer] = self._left.get(buffer, 0) + 1
        self._written: set[PlannedBuffer] = set()

    def growth(self, index: int) -> int:
        """Bytes that the arena has more in use after a kernel than before."""
        kernel = self.kernels[index]
        taken = sum(
            buffer.size_bytes
            for buffer in kernel.writes
            if buffer.in_arena and buffer not in self._written and (buffer in self._left or buffer in self._outputs)
        )
        freed = sum(
            buffer.size_bytes
            for buffer in kernel.reads
            if buffer.in_arena and self._left[buffer] == 1 and buffer not in self._outputs
        )
        return taken - freed

    def run(self, index: int) -> None:
        """Note that a kernel ran."""
        self._written.update(self.kernels[index].writes)
        for buffer in self.kernels[index].reads:
            self._left[buffer] -= 1


def _greedy(kernels: Sequence[PlannedKernel], outputs: Collection[PlannedBuffer]) -> list[PlannedKernel]:
    after = successors(kernels)
    waits = [0] * len(kernels)
    for later in after:
        for index in later:
            waits[index] += 1
    ready = {index for index, count in enumerate(waits) if not count}
    state, found = _Greedy(kernels, outputs), []
    while ready:
        index = min(ready, key=lambda one: (state.growth(one), one))
        ready.remove(index)
        state.run(index)
        found.append(kernels[index])
        for later_one in after[index]:
            waits[later_one] -= 1
            if not waits[later_one]:
                ready.add(later_one)
    return found
