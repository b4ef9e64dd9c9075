"""Which kernel must come before which: results before those who read them, and old state before what takes its place."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from edgebll.kernel.microcontroller.kernels import PlannedKernel
from edgebll.kernel.microcontroller.views import BufferRole, PlannedBuffer


def successors(kernels: Sequence[PlannedKernel]) -> list[set[int]]:
    """For each kernel the numbers of those that must come later."""
    writers: dict[PlannedBuffer, list[int]] = defaultdict(list)
    readers: dict[PlannedBuffer, list[int]] = defaultdict(list)
    for index, kernel in enumerate(kernels):
        for buffer in kernel.writes:
            writers[buffer].append(index)
        for buffer in kernel.reads:
            readers[buffer].append(index)
    after: list[set[int]] = [set() for _ in kernels]
    for buffer, makers in writers.items():
        if buffer.role is BufferRole.STATE:
            for reader in readers.get(buffer, ()):
                after[reader].update(makers)
            continue
        for maker in makers:
            after[maker].update(readers.get(buffer, ()))
        if buffer.home is not None:
            for reader in readers.get(buffer.home, ()):
                after[reader].update(makers)
    for index, later in enumerate(after):
        later.discard(index)
    return after


def in_order(kernels: Sequence[PlannedKernel]) -> list[PlannedKernel] | None:
    """Kernels in an order that is allowed, as near to their places as can be; None where there is none."""
    after = successors(kernels)
    waits = [0] * len(kernels)
    for later in after:
        for index in later:
            waits[index] += 1
    ready = [(kernel.place, index) for index, kernel in enumerate(kernels) if not waits[index]]
    heapq.heapify(ready)
    found = []
    while ready:
        _, index = heapq.heappop(ready)
        found.append(kernels[index])
        for later_one in after[index]:
            waits[later_one] -= 1
            if not waits[later_one]:
                heapq.heappush(ready, (kernels[later_one].place, later_one))
    return found if len(found) == len(kernels) else None


def is_allowed(kernel: PlannedKernel) -> bool:
    """Whether a kernel gives the same in whatever order its positions are computed.

    What it reads of the state that it overwrites lies at the very address it writes, position by position. What it writes to
    one buffer in two places does not lie in between each other, which boards do not accept.
    """
    for buffer in kernel.writes:
        written = kernel.writes_to(buffer)
        state = buffer if buffer.role is BufferRole.STATE else buffer.home
        if state is not None and state in kernel.reads and not kernel.reads_only_in_place(state, written):
            return False
        spans = sorted(view.span for view in written)
        if any(first[1] >= second[0] for first, second in pairwise(spans)):
            return False
    return True
