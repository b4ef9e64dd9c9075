"""What boards send during a run: checked, counted and handed on. Every block accounts for every token once, in order."""

from __future__ import annotations

from edgebll.kernel.bundle import Bundle, check_state
from edgebll.kernel.errors import BoardError, BundleError, LinkError
from edgebll.kernel.state.block_state import State as BlockState
from edgebll.kernel.support.awake_clock import awake_s
from edgebll.kernel.wire import Message, Report, State
from edgebll_firmware_host.fleet.board_link import BoardLink
from edgebll_firmware_host.policy.block_placement import Placement
from edgebll_firmware_host.policy.next_actions import RunState
from edgebll_firmware_host.run.metrics_recorder import Recorder
from edgebll_firmware_host.run.snapshot_writer import SnapshotWriter


class ReportInbox:
    """Takes the messages of one incarnation of a run.

    Args:
        bundle: the blocks.
        placement: which board hosts which of them.
        state: kept up to date for the planner.
        recorder: takes Reports.
        snapshots: takes the States of snapshots.

    Attributes:
        finals: block -> final state, of the blocks that have ended.
    """

    def __init__(
        self, bundle: Bundle, placement: Placement, state: RunState, recorder: Recorder, snapshots: SnapshotWriter
    ) -> None:
        self.finals: dict[str, BlockState] = {}
        self._state, self._recorder, self._snapshots = state, recorder, snapshots
        self._specs = {block.name: block for block in bundle.manifest.blocks}
        self._last = bundle.manifest.blocks[-1].name
        self._board_of = {block: board for board, hosted in placement.blocks.items() for block in hosted}
        self._next = dict.fromkeys(self._specs, 0)

    def expect_states(self) -> None:
        """A SNAPSHOT or END was fed: every board owes the states of its blocks."""
        for block, board in self._board_of.items():
            self._state.boards[board].owed_bytes += self._specs[block].state_bytes

    def take(self, link: BoardLink, message: Message) -> None:
        """Take a message of a board; those that are not about a block are ignored.

        Raises:
            LinkError: a message is missing. BoardError: it is about another board's block, or does not fit.
        """
        if not isinstance(message, (Report, State)):
            return
        self._account(link, message)
        self._state.last_report_s = awake_s()
        if isinstance(message, Report):
            self._recorder.take(link.name, message, link.clock_offset_ns)
        else:
            self._take_state(link, message)
        if message.block == self._last:
            self._state.done = message.sequence + 1
            self._state.last_progress_s = awake_s()

    def _account(self, link: BoardLink, message: Report | State) -> None:
        block = message.block
        ours = (link.run, link.incarnation)
        if self._board_of.get(block) != link.name or (message.run, message.incarnation) != ours:
            raise BoardError(f"{link.where} reports on {block[:40]!r}, which it does not host; install the same release there")
        if message.sequence != self._next[block]:
            raise LinkError(
                f"{link.where} reported token {message.sequence} of {block}, expected {self._next[block]}; "
                "the connection lost a message: run again"
            )
        self._next[block] += 1

    def _take_state(self, link: BoardLink, message: State) -> None:
        spec = self._specs[message.block]
        try:
            check_state(spec, message.block_state, message.block)
        except BundleError as error:
            raise BoardError(f"{link.where} sent a state that does not fit: {error}") from error
        self._state.boards[link.name].owed_bytes -= spec.state_bytes
        if message.final:
            self.finals[message.block] = message.tensors
            self._state.missing_finals.discard(message.block)
            self._state.last_progress_s = awake_s()
        else:
            self._snapshots.take(message)
