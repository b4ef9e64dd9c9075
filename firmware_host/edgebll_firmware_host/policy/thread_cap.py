"""How many threads a board's training steps get: those its entry asks for, but no more than it has processors for.

Threads beyond that wait for each other: four of them on one processor took eight times as long as one. How many there are may
change the last bits of a result, so what a block began with is kept for the rest of its run, whatever its board has later.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

from edgebll_firmware_host.fleet.board_link import BoardLink
from edgebll_firmware_host.inventory import BoardEntry
from edgebll_firmware_host.run.numerics_guard import Numerics

#: The runtimes that compute on processors with threads; the others have threads of their own, or none.
_CAPPED = ("onnxruntime",)


def used_threads(entry: BoardEntry, cpus: float, began: Iterable[Numerics]) -> int:
    """Threads of a board's training steps.

    Args:
        entry: of the board.
        cpus: processors whose time it may have, 0 if it does not know.
        began: how its blocks were computed when their run began, those of which that is known.
    """
    if not entry.cap_threads or entry.runtime not in _CAPPED:
        return entry.threads
    kept = {how.threads for how in began if how.runtime == entry.runtime and (how.asked or how.threads) == entry.threads}
    if len(kept) == 1:
        return kept.pop()
    return max(1, min(entry.threads, math.ceil(cpus))) if cpus > 0 else entry.threads


class ThreadCap:
    """Decides for all boards of a run, and tells of it.

    Args:
        say: takes a sentence for the user.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._told: set[str] = set()

    def apply(
        self, links: Mapping[str, BoardLink], placement: Mapping[str, tuple[str, ...]], began: Mapping[str, Numerics]
    ) -> None:
        """Set the threads of greeted boards.

        Args:
            links: of the boards.
            placement: board -> its blocks.
            began: block -> how it was computed when the run began.
        """
        for name, blocks in placement.items():
            link = links[name]
            link.threads = used_threads(link.entry, link.welcome.cpus, (began[block] for block in blocks if block in began))
            told = warning(f"board {name}", link.entry, link.welcome.cpus, link.threads)
            if told and told not in self._told:
                self._told.add(told)
                self._say(told)


def warning(where: str, entry: BoardEntry, cpus: float, used: int) -> str:
    """A sentence where a board has not as many processors as threads, or uses fewer than it could; else empty.

    Args:
        where: the board in words.
        entry: of the board.
        cpus: processors whose time it may have, 0 if it does not know.
        used: threads that its steps get.
    """
    if entry.runtime not in _CAPPED or cpus <= 0:
        return ""
    most, has = math.ceil(cpus), f"{where} has {cpus:g} processor{'s' * (cpus != 1)}"
    if used > most:
        why = "as its run began" if entry.cap_threads else "as cap_threads = false says"
        return f"{has} for {used} threads, {why}: steps may take many times as long as with {most}"
    if used < min(entry.threads, most):
        return f"{has} and uses {used} of the {entry.threads} threads asked for, as its run began: more may give other bits"
    if used < entry.threads:
        return f"{has} and so uses {used} of the {entry.threads} threads asked for (cap_threads = false insists on all)"
    return ""
