"""Changes to a run in virtual time while it goes on: boards that are added, drained, or come back, and when the host acts."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from edgebll_firmware_host.inventory import Cluster
from edgebll_firmware_host.policy.block_placement import Placement
from edgebll_firmware_host.policy.look_schedule import LookSchedule
from edgebll_firmware_host.policy.membership import Membership
from edgebll_firmware_host.run_files.status_files import EVERY_S
from edgebll_firmware_host.simulation.block_costs import NEVER, nanoseconds
from edgebll_firmware_host.simulation.incidents import Fates
from edgebll_firmware_host.simulation.virtual_job import VirtualJob


class ChangesAhead:
    """Finds out what changes come.

    Args:
        job: of the run.
        fates: when boards fail and come back.
    """

    def __init__(self, job: VirtualJob, fates: Fates) -> None:
        self._job, self._fates = job, fates
        self._looks = LookSchedule()
        self._entries = {board.name: board for board in job.inventory.boards}
        self._applied: set[str] = set()

    def apply(self, members: Membership, cluster: Cluster, at_ns: int) -> None:
        """Tell the members of all that was asked for by now.

        Raises:
            ConfigError: the last board is drained.
        """
        for board, joins_ns in self._job.incidents.joins.items():
            if joins_ns <= at_ns and f"+{board}" not in self._applied:
                self._applied.add(f"+{board}")
                members.add(self._entries[board], cluster)
        for board, drained_ns in self._job.incidents.drains.items():
            if drained_ns <= at_ns and f"-{board}" not in self._applied:
                self._applied.add(f"-{board}")
                members.drain(board, cluster)

    def first(
        self,
        placement: Placement,
        members: Membership,
        cluster: Cluster,
        span_ns: tuple[int, int],
        gone: Collection[str],
    ) -> int:
        """When a change of this placement is wanted first; NEVER for none.

        Args:
            placement: of the incarnation.
            members: which boards may be used.
            cluster: the inventory.
            span_ns: when the incarnation begins to stream, and when it is over at the latest.
            gone: boards that did not answer when it began.
        """
        begin_ns, until_ns = span_ns
        for name in gone:
            self._looks.failed(name, begin_ns / 1e9)
        there, added = set(placement.blocks), dict[str, object]()
        for at_ns, name, drained in sorted(self._events(begin_ns, gone)):
            if at_ns >= until_ns:
                break
            if drained and name in placement.blocks:
                return at_ns
            if drained:
                there.discard(name)
                continue
            added[name] = self._entries[name]
            boards = [board for board in members.of(cluster) if board.name not in members.drained]
            boards += [self._entries[one] for one in added if one not in {board.name for board in boards}]
            if self._job.placer(boards, {*there, *added}) != placement:
                return at_ns
        return NEVER

    def _events(self, begin_ns: int, gone: Collection[str]) -> Iterator[tuple[int, str, bool]]:
        """(when the host acts on it, board, whether it is drained) of all that is to come."""
        incidents = self._job.incidents
        for board, at_ns in incidents.drains.items():
            if f"-{board}" not in self._applied:
                yield _tick(begin_ns, at_ns), board, True
        for board, at_ns in incidents.joins.items():
            if f"+{board}" not in self._applied:
                asked_ns = _tick(begin_ns, at_ns)
                yield self._found(board, asked_ns, begin_ns, asked_ns), board, False
        for board in gone:
            outage = self._fates.outage_at(board, begin_ns)
            back_ns = outage.back_ns if outage is not None else begin_ns
            if back_ns < NEVER:
                yield self._found(board, begin_ns, begin_ns, back_ns), board, False

    def _found(self, board: str, from_ns: int, begin_ns: int, there_ns: int) -> int:
        """When the host finds a board that is there from `there_ns` on."""
        found_s = self._looks.first_look_after(board, from_ns / 1e9, there_ns / 1e9)
        return _tick(begin_ns, nanoseconds(found_s))


def _tick(begin_ns: int, at_ns: int) -> int:
    """When the host looks next for requests and boards that are found."""
    every_ns = nanoseconds(EVERY_S)
    return begin_ns + max(0, -(-(at_ns - begin_ns) // every_ns)) * every_ns
