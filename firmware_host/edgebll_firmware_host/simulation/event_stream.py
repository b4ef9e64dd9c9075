"""A stream in virtual time for any placement: an event after another, boards by the code that schedules blocks on real ones.

`BoardDataflow` decides which block computes next, as on a board; here a clock of each board goes on by what that costs.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from edgebll.kernel.execution.board_dataflow import BoardDataflow
from edgebll.kernel.spec.edge_check import HOST
from edgebll.kernel.wire import Message, Report, State, Token
from edgebll_firmware_host.simulation.block_costs import NEVER, BlockCosts, Times, nanoseconds
from edgebll_firmware_host.simulation.draws import DrawnRows, Draws
from edgebll_firmware_host.simulation.stream_host import StreamHost
from edgebll_firmware_host.simulation.stream_record import IncarnationRecord
from edgebll_firmware_host.simulation.virtual_block import BoardClock, VirtualBlock

#: Events at one time: what comes by link first, then what boards do, then the host.
_ARRIVES, _WORKS, _HEARD = range(3)


@dataclass
class _Passing:
    """A token on its way: what it costs, and when blocks applied it so far."""

    token: Token
    compute: Times
    delays: Times
    starts: Times
    ends: Times
    states: list[int] = field(default_factory=list)


class EventStream:
    """One incarnation.

    Args:
        costs: of the placement, any one.
        draws: what chance adds.
        dies_ns: board -> when it dies, of those that do.
        start: training step it begins at.
    """

    def __init__(self, costs: BlockCosts, draws: Draws, dies_ns: Mapping[str, int], start: int = 0) -> None:
        self.costs, self._draws, self._dies_ns, self._start = costs, draws, dies_ns, start
        self._index = {block.name: index for index, block in enumerate(costs.manifest.blocks)}
        self._side = {(edge.source, edge.target): number for number, edge in enumerate(costs.sides)}
        self._events: list[tuple[int, int, int, Callable[[int], None]]] = []
        self._numbers = itertools.count()
        self._passing: dict[int, _Passing] = {}
        self._arrived: dict[tuple[str, str], int] = {}  # the last arrival of each link, which keeps the order
        self._drawn: DrawnRows | None = None
        self._row = self._host_out_ns = 0
        self._boards: dict[str, tuple[BoardClock, BoardDataflow[VirtualBlock]]] = {}

    def run(self, host: StreamHost, record: IncarnationRecord) -> None:
        """Feed tokens until the host says that it is over."""
        self._host, self._record, self._host_out_ns = host, record, host.fed_ns
        for name in dict.fromkeys(self.costs.boards):
            clock = BoardClock(name, host.fed_ns, self._dies_ns.get(name, NEVER))
            indices = [index for index, board in enumerate(self.costs.boards) if board == name]
            blocks = [VirtualBlock(self.costs.manifest, index, clock, self._compute_ns, self._start) for index in indices]
            outlet, post = partial(self._send, clock), partial(self._post, clock)
            self._boards[name] = clock, BoardDataflow(blocks, outlet, post)
        self._feed(host.fed_ns)
        while self._events and self._events[0][0] < host.end_ns:
            at_ns, _, _, happens = heapq.heappop(self._events)
            happens(at_ns)
        for passing in self._passing.values():
            record.take(passing.token, passing.starts, passing.ends, NEVER)

    def _compute_ns(self, token: Token, index: int) -> int:
        """What a token costs a block's processor."""
        return int(self._passing[token.sequence].compute[index])

    def _at(self, at_ns: int, kind: int, happens: Callable[[int], None]) -> None:
        heapq.heappush(self._events, (at_ns, kind, next(self._numbers), happens))

    def _feed(self, now_ns: int) -> None:
        while self._host.may_feed and (fed := self._host.feed(now_ns)) is not None:
            token, leaves_ns = fed
            if self._drawn is None or self._row == self._drawn.count:
                self._drawn, self._row = self._draws.next_rows(), 0
            blocks, links = len(self._index), len(self.costs.latency) + len(self._side)
            delays = np.broadcast_to(self._drawn.delay(token.kind, self._row), (links,))
            compute = self._drawn.compute(token.kind, self._row)
            never = np.full(blocks, NEVER, np.int64)
            self._passing[token.sequence] = _Passing(token, compute, delays, never, never.copy())
            self._row += 1
            self._host_out_ns = max(leaves_ns, self._host_out_ns) + int(self.costs.wire[token.kind][0])
            self._arrive(HOST, 0, int(self.costs.latency[0]), self._host_out_ns, token)

    def _arrive(self, source: str, column: int, latency_ns: int, left_ns: int, token: Token) -> None:
        """A token that has left is at its board's door later, and after those before it on the same link."""
        target = self.costs.boards[self._index[token.block]]
        delay_ns = int(self._passing[token.sequence].delays[column])
        at_ns = max(left_ns + latency_ns + delay_ns, self._arrived.get((source, target), 0))
        self._arrived[source, target] = at_ns
        self._at(at_ns, _ARRIVES, partial(self._knock, target, token))

    def _knock(self, board: str, token: Token, at_ns: int) -> None:
        clock, _ = self._boards[board]
        clock.door.append(token)
        if clock.idle:
            clock.idle = False
            clock.now_ns = max(at_ns, clock.now_ns)
            self._at(clock.now_ns, _WORKS, partial(self._work, board))

    def _work(self, board: str, _at_ns: int) -> None:
        """Let a board do one thing, as its worker does: apply a token, else take one in, else wait."""
        clock, dataflow = self._boards[board]
        if dataflow.advance():
            dataflow.flush()
        elif clock.door:
            token = clock.door.popleft()
            clock.now_ns += self._handled_ns(clock.name, token)
            dataflow.admit(token)
        else:
            clock.idle = True
            return
        self._at(clock.now_ns, _WORKS, partial(self._work, board))

    def _handled_ns(self, name: str, token: Token) -> int:
        """Of a board's processor, to take a token in or to send it."""
        board, index = self.costs.cluster.board(name), self._index[token.block]
        return nanoseconds(board.message_s + self._size(token, index) * board.byte_s)

    def _size(self, token: Token, index: int) -> int:
        if token.source:
            return self.costs.side_bytes(self.costs.sides[self._side[token.source, token.block]])
        return self.costs.token_bytes[token.kind][index]

    def _send(self, clock: BoardClock, token: Token) -> None:
        clock.now_ns += self._handled_ns(clock.name, token)
        if clock.now_ns > clock.dies_ns:
            return
        index = self._index[token.block]
        link = self.costs.cluster.between(clock.name, self.costs.boards[index])
        clock.out_ns = max(clock.now_ns, clock.out_ns) + nanoseconds(link.wire_s(self._size(token, index)))
        column = len(self.costs.latency) + self._side[token.source, token.block] if token.source else index
        self._arrive(clock.name, column, nanoseconds(link.latency_s), clock.out_ns, token)

    def _post(self, clock: BoardClock, message: Message) -> None:
        """Take what a block says to the host."""
        if not isinstance(message, (Report, State)):
            raise TypeError(f"a virtual block gives a Report or a State, not {type(message).__name__}")
        index, passing = self._index[message.block], self._passing[message.sequence]
        clock.now_ns += int(self.costs.report[index])
        if isinstance(message, Report):
            passing.starts[index], passing.ends[index] = message.start_ns, message.end_ns
        if clock.now_ns > clock.dies_ns:
            return
        there_ns, last = clock.now_ns + self.costs.state_latency[index], index + 1 == len(self._index)
        if isinstance(message, State):
            clock.out_ns = max(clock.now_ns, clock.out_ns) + self.costs.state_wire[index]
            there_ns = clock.out_ns + self.costs.state_latency[index]
        if last:
            there_ns = max(there_ns + int(passing.delays[index + 1]), self._arrived.get((clock.name, HOST), 0))
            self._arrived[clock.name, HOST] = there_ns
            self._at(there_ns, _HEARD, partial(self._heard, message.sequence))
        if isinstance(message, State):
            passing.states.append(there_ns)
            if len(passing.states) == len(self._index):
                self._host.take_states(passing.token, max(passing.states))

    def _heard(self, sequence: int, at_ns: int) -> None:
        """The host hears that the last block has applied a token."""
        passing = self._passing.pop(sequence)
        self._record.take(passing.token, passing.starts, passing.ends, at_ns)
        self._record.settle(at_ns)
        self._host.hear_done()
        self._feed(at_ns)
