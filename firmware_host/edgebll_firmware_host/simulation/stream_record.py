"""What came of a run in virtual time so far: when each block applied which token, and how far it is."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edgebll.kernel.wire import EVAL, TRAIN, Token
from edgebll_firmware_host.run_files.cost_totals import MAX_SPANS
from edgebll_firmware_host.run_files.timeline_spans import BoardSpan
from edgebll_firmware_host.simulation.block_costs import NEVER, BlockCosts, Times

Flags = npt.NDArray[np.bool_]


class VirtualRecord:
    """All incarnations of a run in virtual time.

    Args:
        blocks: names, in stream order.
        last: the most spans that are kept, the first ones; by default as many as a real run keeps.

    Attributes:
        spans: of the first tokens.
        busy_ns: computing time by block, int64.
        board_busy_ns: computing time by board.
        steps: training steps that each block has done, int64.
        applied: training steps computed, those that were done again included, by block, int64.
        first_new_ns: when the host first heard of something that was not done before this incarnation; NEVER if it has not.
        last_new_ns: when it last did.
    """

    def __init__(self, blocks: Sequence[str], last: int = MAX_SPANS) -> None:
        self.blocks, self._last = tuple(blocks), last
        self.spans: list[BoardSpan] = []
        self.busy_ns: Times = np.zeros(len(blocks), np.int64)
        self.board_busy_ns: dict[str, int] = {}
        self.steps: Times = np.zeros(len(blocks), np.int64)
        self.applied: Times = np.zeros(len(blocks), np.int64)
        self.first_new_ns, self.last_new_ns, self.news = NEVER, 0, 0

    def begin(self, costs: BlockCosts, stops_ns: Times) -> IncarnationRecord:
        """Another incarnation; `stops_ns`: when each block's board dies."""
        self.first_new_ns = NEVER
        return IncarnationRecord(self, costs, stops_ns)

    def keep(self, token: Token, boards: Sequence[str], starts: Times, ends: Times, whole: Flags) -> None:
        """Keep the spans of a token, of blocks that have applied it wholly, while there is room."""
        if len(self.spans) >= self._last or token.kind not in (TRAIN, EVAL):
            return
        rows = zip(boards, self.blocks, starts.tolist(), ends.tolist(), whole.tolist(), strict=True)
        for board, block, start, end, done in rows:
            if done and len(self.spans) < self._last:
                self.spans.append(BoardSpan(board, block, token.kind, token.sequence, token.step, start, end))


class IncarnationRecord:
    """One incarnation; make it with `VirtualRecord.begin`.

    Args:
        run: takes the sums.
        costs: of the placement.
        stops_ns: (blocks,) when the board of each dies; NEVER if it does not.
    """

    def __init__(self, run: VirtualRecord, costs: BlockCosts, stops_ns: Times) -> None:
        self._run, self._boards, self._stops_ns = run, costs.boards, stops_ns
        self._told = costs.report + np.array(costs.state_latency, np.int64)
        self._busy: Times = np.zeros(len(costs.boards), np.int64)
        self._pending: deque[tuple[Token, Times, Times, int]] = deque()

    def take(self, token: Token, starts: Times, ends: Times, done_ns: int) -> None:
        """A token has gone through all blocks, or will have by then; (blocks,) nanoseconds, NEVER where it does not come."""
        self._pending.append((token, starts, ends, done_ns))

    def settle(self, now_ns: int) -> None:
        """Whatever was heard by now is certain."""
        while self._pending and self._pending[0][3] <= now_ns:
            token, starts, ends, _ = self._pending.popleft()
            self._count(token, starts, ends, ends < NEVER)

    def end(self, end_ns: int) -> None:
        """The incarnation is over: what is computed then is cut off."""
        stops = np.minimum(self._stops_ns, end_ns)
        for token, starts, ends, _ in self._pending:
            self._count(token, np.minimum(starts, stops), np.minimum(ends, stops), ends <= stops)
        self._pending.clear()
        run = self._run
        run.busy_ns += self._busy
        for board, busy in zip(self._boards, self._busy.tolist(), strict=True):
            run.board_busy_ns[board] = run.board_busy_ns.get(board, 0) + busy

    def _count(self, token: Token, starts: Times, ends: Times, whole: Flags) -> None:
        run = self._run
        if token.kind not in (TRAIN, EVAL):
            return
        self._busy += ends - starts
        run.keep(token, self._boards, starts, ends, whole)
        if token.kind == EVAL:
            return
        run.applied += whole
        new = whole & (run.steps <= token.step)
        if not new.any():
            return
        heard = (ends + self._told)[new]
        run.first_new_ns = min(run.first_new_ns, int(heard.min()))
        run.last_new_ns = max(run.last_new_ns, int(heard.max()))
        run.news += int(new.sum())
        run.steps[new] = token.step + 1
