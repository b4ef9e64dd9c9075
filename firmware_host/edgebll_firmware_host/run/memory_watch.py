"""What a run knows of its boards' memory: where blocks fit, who was killed for want of it, and when that was too often."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping

from edgebll.kernel.errors import BoardError, BundleError
from edgebll.kernel.spec.runtime_names import SERIAL
from edgebll_firmware_host.fleet.board_link import BoardLink
from edgebll_firmware_host.inventory import BoardEntry
from edgebll_firmware_host.policy.memory_fit import Room
from edgebll_firmware_host.policy.memory_need import Needs

#: So often without any progress boards may be killed before the run gives up.
_DEATHS = 3
#: Of what is free: blocks that need more may be too much, for the estimate may be so far off.
_MOST = 0.6


class MemoryWatch:
    """The memory of the boards of a run.

    Args:
        needs: of its blocks.
        say: takes a sentence for the user.

    Attributes:
        hopeless: whether boards were killed too often to go on.
    """

    def __init__(self, needs: Needs, say: Callable[[str], None]) -> None:
        self._needs, self._say = needs, say
        self._starved: dict[str, list[frozenset[str]]] = {}
        self._times: dict[str, int] = {}
        self._deaths, self._told = 0, set[str]()
        self.hopeless = False

    def plan_ahead(self, boards: Iterable[BoardEntry]) -> None:
        """Plan the blocks now where there is a microcontroller: that takes seconds, in which greeted boards would hear nothing.

        Args:
            boards: of the inventory.
        """
        if any(entry.runtime == SERIAL for entry in boards):
            # Where they cannot run there is said once a block is to be placed there.
            with contextlib.suppress(BundleError):
                self._needs.planned()

    def progress(self) -> None:
        """Something new was done: deaths so far were borne."""
        self._deaths = 0

    def heard(self, links: Mapping[str, BoardLink]) -> None:
        """Take what greeted boards say of how they ended before.

        Raises:
            BoardError: boards were killed again and again without any progress; the run is `hopeless` then.
        """
        for name, link in links.items():
            blocks, times = link.welcome.starved, link.welcome.starved_times
            if not blocks or times == self._times.get(name, 0):
                continue
            self._times[name] = times
            self._starved.setdefault(name, []).append(frozenset(blocks))
            self._deaths += 1
            told = f"{link.where} was killed with {', '.join(blocks)}, probably because it was out of memory"
            if self._deaths >= _DEATHS:
                self.hopeless = True
                raise BoardError(f"{told}, for the {_DEATHS}rd time without progress; give it more memory or fewer blocks")
            self._say(told)

    def room(self, links: Mapping[str, BoardLink]) -> Room:
        """What greeted boards have for the blocks."""
        return Room.told(self._needs, [(link.entry, link.welcome) for link in links.values()], self._starved)

    def doubt(self, links: Mapping[str, BoardLink], placed: Mapping[str, tuple[str, ...]]) -> None:
        """Note at each board why it may vanish: its blocks need most of what it has."""
        for name, blocks in placed.items():
            link = links[name]
            need, free = self._needs.of(blocks, link.entry.runtime), link.welcome.memory_free_bytes
            if 0 < free < need / _MOST:
                likely = "probably" if need > free else "perhaps"
                link.doubt = (
                    f", {likely} because it was out of memory ({', '.join(blocks)} need about {need >> 20} MiB of the "
                    f"{free >> 20} MiB it had)"
                )

    def warn(self, problem: str) -> None:
        """Tell of a placement that need not fit and is tried, once."""
        if problem and problem not in self._told:
            self._told.add(problem)
            self._say(f"{problem}; tried all the same, for there is no other placement")
