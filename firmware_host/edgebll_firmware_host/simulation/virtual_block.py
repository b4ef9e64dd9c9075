"""A block of a run in virtual time, and the clock of the board that it is on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from edgebll.kernel.execution.stage import Applied
from edgebll.kernel.execution.token_turn import may_be_applied
from edgebll.kernel.spec.manifest import Manifest, TensorSpec
from edgebll.kernel.state.side_stream_queues import Inlet
from edgebll.kernel.wire import END, SNAPSHOT, TRAIN, Report, State, Token


class VirtualBlock:
    """A block that takes its turn as a real one does, and computes nothing but its board's time.

    Args:
        manifest: of the bundle.
        index: of the block.
        clock: of its board.
        compute_ns: gives what a token costs the block of an index.
        start: training step the stream begins at.
    """

    def __init__(
        self, manifest: Manifest, index: int, clock: BoardClock, compute_ns: Callable[[Token, int], int], start: int
    ) -> None:
        self._index, self._clock, self._compute_ns = index, clock, compute_ns
        self.name, self.ended = manifest.blocks[index].name, False
        self._next = manifest.next_block(self.name)
        self._outgoing = manifest.side_streams_from(self.name)
        block = manifest.blocks[index]
        self._inlet: Inlet[None] = Inlet(manifest.side_streams(self.name), block.received, _nothing, start)
        self._inbox: deque[Token] = deque()

    @property
    def ready(self) -> bool:
        """Whether the next token can be applied."""
        return bool(self._inbox) and may_be_applied(self._inbox[0], self._inlet)

    @property
    def line_bytes(self) -> tuple[int, int]:
        """No line carries anything."""
        return 0, 0

    def admit(self, token: Token) -> None:
        """Queue a token."""
        if token.source:
            self._inlet.put(token.source, token.step, {})
        else:
            self._inbox.append(token)

    def apply_next(self) -> Applied:
        """Let the time pass that the next token takes."""
        token = self._inbox.popleft()
        if token.kind == TRAIN:
            self._inlet.take()
        self.ended = token.kind == END
        start_ns = self._clock.now_ns
        self._clock.now_ns += self._compute_ns(token, self._index)
        onward = None if self._next is None else replace(token, block=self._next)
        place = (token.run, self.name)
        if token.kind in (SNAPSHOT, END):
            return Applied(onward, State(*place, token.sequence, token.step, self.ended))
        report = Report(*place, token.kind, token.sequence, token.step, {}, start_ns, self._clock.now_ns)
        sides = self._outgoing if token.kind == TRAIN else ()
        return Applied(onward, report, tuple(replace(token, block=edge.target, source=self.name) for edge in sides))

    def close(self) -> None:
        """Nothing is held."""


class BoardClock:
    """A board's own time, its way out, and what waits at its door."""

    def __init__(self, name: str, now_ns: int, dies_ns: int) -> None:
        self.name, self.now_ns, self.out_ns, self.dies_ns = name, now_ns, now_ns, dies_ns
        self.door: deque[Token] = deque()
        self.idle = True


def _nothing(_tensor: TensorSpec) -> None:
    return None
