"""When kernels run and where everything of the arena lies: what is left to decide once it is known which kernels there are."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from edgebll.kernel.microcontroller.arena import arena_offsets
from edgebll.kernel.microcontroller.kernels import PlannedKernel
from edgebll.kernel.microcontroller.lifetimes import Storage, peak_bytes, storages
from edgebll.kernel.microcontroller.scheduling import scheduled
from edgebll.kernel.microcontroller.views import PlannedBuffer
from edgebll.kernel.microcontroller.work import total_work


@dataclass(frozen=True)
class Arrangement:
    """Kernels in their order, and the arena.

    Attributes:
        order: the kernels as they run.
        lifetimes: what lies in the arena, and when.
        offsets: byte offset of each buffer of the arena.
        arena_bytes: of all of it.
    """

    order: tuple[PlannedKernel, ...]
    lifetimes: tuple[Storage, ...]
    offsets: Mapping[PlannedBuffer, int]
    arena_bytes: int

    @property
    def lower_bound_bytes(self) -> int:
        """What is alive at once at the most."""
        return peak_bytes(self.lifetimes, len(self.order))

    @property
    def instructions(self) -> int:
        """About how many a run takes."""
        return total_work(self.order)


def arranged(
    kernels: Sequence[PlannedKernel], inputs: Sequence[PlannedBuffer], outputs: Collection[PlannedBuffer]
) -> Arrangement:
    """Kernels in the better of two orders, and everything in its place.

    Args:
        kernels: in an allowed order.
        inputs: buffers that are written before.
        outputs: buffers that are read afterwards.
    """
    order = scheduled(kernels, inputs, outputs)
    lifetimes = storages(order, inputs, outputs)
    offsets, arena_bytes = arena_offsets(lifetimes)
    return Arrangement(tuple(order), tuple(lifetimes), offsets, arena_bytes)
