"""A stream through boards that compute in a fixed order: each has neighbouring blocks, and nothing but the chain reaches them.

Then a token passes a row of stages: a way out of a machine, the link, a processor, the next way out, and so on. Each takes them
one after another. With t[j, k] for when token k leaves stage j, and free[j, k] for when that takes the next one,

    t[j, k] = max(t[j - 1, k], free[j, k - 1]) + cost[j, k]

but a link, which has a latency and only keeps the order: t[j, k] = max(t[j - 1, k] + cost[j, k], t[j, k - 1]). In sums of the
costs up to each stage this is a cumulative maximum, which NumPy takes over all stages at once: some microseconds a token.
See F. Baccelli, G. Cohen, G. J. Olsder, J.-P. Quadrat: Synchronization and Linearity, 1992, on such (max, +) systems.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from edgebll.kernel.wire import EVAL, TRAIN, Token
from edgebll_firmware_host.simulation.block_costs import NEVER, BlockCosts, Times
from edgebll_firmware_host.simulation.draws import DrawnRows, Draws
from edgebll_firmware_host.simulation.stream_host import StreamHost
from edgebll_firmware_host.simulation.stream_record import IncarnationRecord


class _Rows:
    """Costs of some tokens of one kind: summed over stages, and how long before its board has sent each block ends."""

    def __init__(self, chain: ChainStream, drawn: DrawnRows, kind: str) -> None:
        costs, first, last = chain.costs, chain.first, chain.last
        compute, delay = (np.atleast_2d(each(kind, slice(None))) for each in (drawn.compute, drawn.delay))
        self.count = max(len(compute), len(delay))
        self.compute = np.broadcast_to(compute, (self.count, len(costs.boards)))
        delay = np.broadcast_to(delay, (self.count, len(costs.latency)))
        reported = np.cumsum(self.compute + costs.report, axis=1) - costs.report
        before = np.zeros_like(reported)
        before[:, 1:] = reported[:, :-1] + costs.report[:-1]
        after = chain.sent_after[kind]
        cost = np.zeros((self.count, len(chain.server)), np.int64)
        cost[:, 0:-1:3] = costs.wire[kind][first]
        cost[:, 1:-1:3] = costs.latency[first] + delay[:, first]
        cost[:, 2:-1:3] = costs.receive[kind][first] + reported[:, last] - before[:, first] + after
        cost[:, -1] = costs.latency[-1] + delay[:, -1]
        self.until_sent = reported[:, chain.last_of] - reported + after[chain.board_of]
        self.total = np.cumsum(cost, axis=1)
        self.before = self.total - cost * chain.server


class ChainStream:
    """One incarnation over such a placement.

    Args:
        costs: of the placement, which is `straight`.
        draws: what chance adds.
        dies_ns: board -> when it dies, of those that do.
    """

    def __init__(self, costs: BlockCosts, draws: Draws, dies_ns: Mapping[str, int]) -> None:
        self.costs, self._draws = costs, draws
        self.first: Times = np.flatnonzero(costs.crosses)
        self.last: Times = np.append(self.first[1:], len(costs.boards)) - 1
        self.board_of: Times = np.cumsum(costs.crosses) - 1
        self.last_of: Times = self.last[self.board_of]
        boards = len(self.first)
        reported = np.zeros(boards, np.int64)
        reported[-1] = costs.report[-1]  # what goes on from the last board is its report
        self.sent_after = {kind: send[self.last] + reported for kind, send in costs.send.items()}
        self.server: npt.NDArray[np.bool_] = np.array([True, False, True] * boards + [False])
        self._dies: Times = np.array([dies_ns.get(costs.boards[index], NEVER) for index in self.first], np.int64)
        self._holds: Times = np.zeros(len(self.server), np.int64)
        self._holds[2:-1:3] = costs.report[self.last] - reported
        self._free: Times = np.zeros(len(self.server), np.int64)
        self._way_out = 0  # of the last board, for its states

    def run(self, host: StreamHost, record: IncarnationRecord) -> None:
        """Feed tokens until the host says that it is over."""
        now_ns = self._way_out = host.fed_ns
        self._free = np.where(self.server, now_ns, 0).astype(np.int64)
        done: deque[int] = deque()
        drawn, row, rows = self._draws.next_rows(), 0, dict[str, _Rows]()
        while True:
            while not host.may_feed and done:
                now_ns = max(now_ns, done.popleft())
                host.hear_done()
            fed = host.feed(now_ns) if host.may_feed else None
            if fed is None:
                return
            if row == drawn.count:
                drawn, row, rows = self._draws.next_rows(), 0, {}
            token, leaves_ns = fed
            if token.kind in (TRAIN, EVAL):
                if token.kind not in rows:
                    rows[token.kind] = _Rows(self, drawn, token.kind)
                done_ns = self._pass(token, leaves_ns, record, rows[token.kind], row)
            else:
                done_ns = self._mark(token, leaves_ns, host, drawn.delay(token.kind, row))
            if done_ns < NEVER:
                done.append(done_ns)
            row += 1
            record.settle(leaves_ns)

    def _pass(self, token: Token, leaves_ns: int, record: IncarnationRecord, rows: _Rows, row: int) -> int:
        """Let a token pass all stages; when the host hears that it has."""
        row %= rows.count
        left = np.maximum.accumulate(self._free - rows.before[row])
        left = np.maximum(left, leaves_ns) + rows.total[row]
        sent = left[2:-1:3]
        ends = sent[self.board_of] - rows.until_sent[row]
        late = sent > self._dies
        if late.any():
            left[3 * int(np.argmax(late)) + 3 :] = NEVER
            ends[self.board_of > int(np.argmax(late))] = NEVER
        self._free = left + self._holds
        record.take(token, ends - rows.compute[row], ends, int(left[-1]))
        return int(left[-1])

    def _mark(self, token: Token, leaves_ns: int, host: StreamHost, delay: Times | int) -> int:
        """Let a SNAPSHOT or END pass; when the host hears that it has.

        The states of a board's blocks leave by the same way as what it sends on, in the order in which they are given.
        """
        costs, kind, free, dies = self.costs, token.kind, self._free, self._dies.tolist()
        delays = np.broadcast_to(delay, costs.latency.shape).tolist()
        at_ns, there = leaves_ns, [NEVER] * len(costs.boards)
        for board, (first, last) in enumerate(zip(self.first.tolist(), self.last.tolist(), strict=True)):
            out, way, processor = 3 * board, 3 * board + 1, 3 * board + 2
            free[out] = at_ns = max(at_ns, int(free[out])) + int(costs.wire[kind][first])
            if board:
                there[first - 1] = self._state(board - 1, first - 1, int(free[processor - 3]))
            free[way] = at_ns = max(at_ns + int(costs.latency[first]) + delays[first], int(free[way]))
            at_ns = max(at_ns, int(free[processor])) + int(costs.receive[kind][first])
            for block in range(first, last):
                at_ns += int(costs.compute[kind][block]) + int(costs.report[block])
                there[block] = self._state(board, block, at_ns)
            at_ns += int(costs.compute[kind][last]) + int(costs.send[kind][last])
            free[processor] = at_ns + int(costs.report[last])
            if at_ns > dies[board]:
                host.take_states(token, NEVER)
                return NEVER
        told_ns = self._state(len(self.first) - 1, last, int(free[-2]))
        if told_ns < NEVER:
            free[-1] = told_ns = there[last] = max(told_ns + delays[-1], int(free[-1]))
        host.take_states(token, max(there))
        return told_ns

    def _state(self, board: int, block: int, posted_ns: int) -> int:
        """A block's state leaves; when it is with the host."""
        if posted_ns > self._dies[board]:
            return NEVER
        last = board + 1 == len(self.first)
        left_ns = max(posted_ns, self._way_out if last else int(self._free[3 * board + 3])) + self.costs.state_wire[block]
        if last:
            self._way_out = left_ns
        else:
            self._free[3 * board + 3] = left_ns
        return left_ns + self.costs.state_latency[block]
