"""Which kernels become one: those that make the peak of memory smaller, or keep it and take fewer instructions.

Consumers are visited from the last to the first. A merger is tried whole, with the order and the lifetimes that follow from
it, so none is accepted that makes the arena larger by what it keeps alive.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from edgebll.kernel.microcontroller.dependencies import in_order, is_allowed
from edgebll.kernel.microcontroller.hoisting import hoisted
from edgebll.kernel.microcontroller.kernels import PlannedKernel
from edgebll.kernel.microcontroller.lifetimes import peak_bytes, storages
from edgebll.kernel.microcontroller.merging import absorbed, inlined, joined
from edgebll.kernel.microcontroller.recomputing import recomputed
from edgebll.kernel.microcontroller.views import BufferRole, PlannedBuffer
from edgebll.kernel.microcontroller.work import total_work

Cost = tuple[int, int]
#: Kernels looked at in all trials together: more than networks for microcontrollers need. A plan is right without any trial.
_EFFORT = 3_000_000
#: Positions up to which beginning a kernel counts beside what it computes.
_FEW = 256
Kernels = list[PlannedKernel]


@dataclass(frozen=True)
class GraphEnds:
    """What lies before and behind the kernels of a graph.

    Attributes:
        inputs: buffers that are written before.
        outputs: buffers that are read afterwards.
        fits: whether a kernel can be written down: it has no more operands and needs no more registers than there are.
        worth: instructions that a byte of the arena is worth; any number where it is None.
    """

    inputs: tuple[PlannedBuffer, ...]
    outputs: frozenset[PlannedBuffer]
    fits: Callable[[PlannedKernel], bool]
    worth: int | None = None

    def peak(self, order: Sequence[PlannedKernel]) -> int:
        """Bytes that an order needs at once."""
        return peak_bytes(storages(order, self.inputs, self.outputs), len(order))

    def is_better(self, cost: Cost, other: Cost) -> bool:
        """Whether one cost, of bytes at once and of instructions, is less than another."""
        if self.worth is None:
            return cost < other
        return (cost[0] - other[0]) * self.worth + cost[1] - other[1] < 0


def fused(kernels: Sequence[PlannedKernel], ends: GraphEnds) -> Iterator[Kernels]:
    """Fewer kernels that compute the same, in an allowed order: first with nothing computed again, then one thing more each.

    Args:
        kernels: in an allowed order.
        ends: of the graph.
    """
    fusion = _Fusion(list(kernels), ends)
    while True:
        while fusion.sweep() or fusion.hoist() or fusion.join():
            pass
        yield fusion.kernels
        if not fusion.recompute():
            return


class _Fusion:
    """The kernels as they are, and what they cost."""

    def __init__(self, kernels: Kernels, ends: GraphEnds) -> None:
        self.kernels, self._ends = kernels, ends
        self._left = _EFFORT
        self._tried: set[tuple[str, tuple[int, ...]]] = set()  # since the kernels are what they are: ways, and ids of kernels
        self._cost: Cost = (ends.peak(kernels), total_work(kernels))

    def sweep(self) -> bool:
        """Visit every kernel once; whether any merger was accepted."""
        any_merged = False
        for reader in reversed(self.kernels):
            current: PlannedKernel | None = reader
            while current is not None and current in self.kernels:
                current = self._merge_into(current) if self._is_new("merge", current) else None
                any_merged = any_merged or current is not None
        return any_merged

    def hoist(self) -> bool:
        """Compute before a kernel what it would compute repeatedly, wherever that is better; whether it was anywhere."""
        any_hoisted = False
        for kernel in list(self.kernels):
            current: PlannedKernel | None = kernel if self._is_new("hoist", kernel) else None
            while current is not None:
                new = next((new for new in hoisted(current) if self._accept([current], new)), None)
                current = None if new is None else new[-1]
                any_hoisted = any_hoisted or new is not None
        return any_hoisted

    def join(self) -> bool:
        """Make one kernel of two small element programs that have nothing to do with each other; whether any were."""
        small = [kernel for kernel in self.kernels if kernel.source is None and math.prod(kernel.shape) <= _FEW]
        for index, first in enumerate(small):
            for second in small[index + 1 :]:
                if first.is_behind != second.is_behind or not self._is_new("join", first, second):
                    continue
                one = joined(first, second)
                if one is not None and self._accept([first, second], [one]):
                    return True
        return False

    def recompute(self) -> bool:
        """Compute something again in the place of keeping it, what saves most bytes an instruction; whether that saved any."""
        changes = [change for kernel in self.kernels for change in recomputed(self.kernels, kernel)]
        trials = [(new, found) for gone, new in changes if (found := self._trial(gone, new)) is not None]
        better = [found for new, found in trials if found[1][0] < self._cost[0] and all(map(self._ends.fits, new))]
        if not better:
            return False
        self.kernels, self._cost = max(better, key=lambda one: (self._cost[0] - one[1][0]) / max(1, one[1][1] - self._cost[1]))
        self._tried.clear()
        return True

    def _is_new(self, way: str, *kernels: PlannedKernel) -> bool:
        """Whether this was not tried yet since a change was accepted last, which would give the same; from now on it was."""
        one = (way, tuple(map(id, kernels)))
        if one in self._tried:
            return False
        self._tried.add(one)
        return True

    def _merge_into(self, reader: PlannedKernel) -> PlannedKernel | None:
        """The kernel that took the reader's place, if one did."""
        for view in (*reader.element_views, *reader.summand_views):
            buffer = view.buffer
            if buffer.role is not BufferRole.TEMPORARY:
                continue
            makers = [kernel for kernel in self.kernels if buffer in kernel.writes]
            if len(makers) != 1 or makers[0] is reader or reader.is_behind:
                continue
            for gone, new in self._candidates(makers[0], reader, buffer):
                if self._accept(gone, new):
                    return new[-1]
        return None

    def _candidates(
        self, maker: PlannedKernel, reader: PlannedKernel, buffer: PlannedBuffer
    ) -> Iterator[tuple[Kernels, Kernels]]:
        """Kernels that would go, and those that would take their place, the reader's or the merged one last."""
        readers = [kernel for kernel in self.kernels if buffer in kernel.reads]
        protected = buffer in self._ends.outputs or buffer.home is not None
        # What is rounded to int8 for several readers is kept so, in the place of what it was computed from.
        kept = protected or (buffer.dtype == "int8" and len(readers) > 1)
        if maker.source is None and len(maker.stores) == 1 and not kept:
            new = [inlined(maker, one, buffer) for one in readers if one is not reader]
            new.append(inlined(maker, reader, buffer))
            found = [kernel for kernel in new if kernel is not None]
            if len(found) == len(new):
                yield [maker, *readers], found
        if self._ends.worth is not None and len(readers) == 2:
            # New weights and moments that are both computed of both old ones can only be written by one kernel.
            both = absorbed(maker, readers[0], buffer, True, maker.place)
            one = both and absorbed(both, readers[1], buffer, protected, maker.place)
            if one is not None:
                yield [maker, *readers], [one]
        keeps = protected or len(readers) > 1
        for place in (maker.place, reader.place):
            one = absorbed(maker, reader, buffer, keeps, place)
            if one is None:
                break
            yield [maker, reader], [one]

    def _accept(self, gone: Kernels, new: Kernels) -> bool:
        """Put `new` in the place of `gone` if that is allowed and better."""
        found = self._trial(gone, new)
        if found is None or not self._ends.is_better(found[1], self._cost) or not all(map(self._ends.fits, new)):
            return False
        self.kernels, self._cost = found
        self._tried.clear()
        return True

    def _trial(self, gone: Kernels, new: Kernels) -> tuple[Kernels, Cost] | None:
        """The kernels with `new` in the place of `gone` and what they cost; None where that is not allowed.

        Whether the new ones fit is left to who finds that they are better: it takes as long as all the rest.
        """
        self._left -= len(self.kernels)
        if self._left < 0 or not all(is_allowed(kernel) for kernel in new):
            return None
        rest = [kernel for kernel in self.kernels if all(kernel is not one for one in gone)]
        order = in_order([*rest, *new])
        if order is None:
            return None
        return order, (self._ends.peak(order), self._cost[1] + total_work(new) - total_work(gone))
