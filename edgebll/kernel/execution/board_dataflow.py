"""The blocks of one board as a small Kahn network: what is local is handed over in place, the rest goes to an outlet.

Which block that is ready runs first is free, the result does not depend on it. The latest in the stream goes first: it frees
memory soonest, and its results leave the board soonest.

No blocks wait for each other in a circle. Think of all pairs of training step and block in order of steps, those of one step in
order of the chain: whatever a pair needs lies before it, since a side stream against the chain has a lag of 1 or more. So the
first pair that is not applied yet has, or will get, all it needs, with any window: for a window of 1 the host feeds step t when
the last block, and so every block, has applied step t - 1. Nothing else ever waits: the links' queues have no limit on their
length (edgebll.kernel.transport), so sending waits for a connection alone, never for the receiver to apply something. They
stay short
all the same: blocks are at most the window apart, so a stream never holds more than window + lag tokens.

A message for the host is held back until the next computation starts or there is nothing to do. Posting it wakes the control
thread, which takes the interpreter lock; that costs nothing while a runtime computes, and 0.2 ms a token otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from edgebll.kernel.errors import WireError
from edgebll.kernel.execution.stage import Applied
from edgebll.kernel.wire import Message, Token

#: Takes a token for a block on another board.
Outlet = Callable[[Token], None]
#: Takes a message for the host.
Post = Callable[[Message], None]


class StreamBlock(Protocol):
    """A block with its place in the streams: a `HostedBlock`, or one that a run in virtual time only describes."""

    name: str
    ended: bool

    @property
    def ready(self) -> bool:
        """Whether the next token can be applied."""

    @property
    def line_bytes(self) -> tuple[int, int]:
        """What a line to what computes it has carried, see BlockRuntime."""

    def admit(self, token: Token) -> None:
        """Queue a token."""

    def apply_next(self) -> Applied:
        """Apply the next token; only when `ready`."""

    def close(self) -> None:
        """Free it."""


B = TypeVar("B", bound=StreamBlock)


class BoardDataflow(Generic[B]):
    """All blocks of one board.

    Args:
        blocks: in stream order.
        outlet: where tokens for other boards go.
        post: where messages for the host go.
    """

    def __init__(self, blocks: Sequence[B], outlet: Outlet, post: Post) -> None:
        self._blocks = {block.name: block for block in blocks}
        self._latest_first = tuple(reversed(blocks))
        self._outlet, self._post = outlet, post
        self._held: Message | None = None

    @property
    def ended(self) -> bool:
        """Whether every block has applied END."""
        return all(block.ended for block in self._latest_first)

    @property
    def line_bytes(self) -> tuple[int, int]:
        """What the lines of all runtimes have carried, see BlockRuntime."""
        sent, unpacked = zip(*(block.line_bytes for block in self._latest_first), strict=True)
        return sum(sent), sum(unpacked)

    def admit(self, token: Token) -> None:
        """Queue a token that came to this board.

        Raises:
            LinkError: it is out of order. WireError: it does not fit the block, or the block is elsewhere.
        """
        block = self._blocks.get(token.block)
        if block is None:
            raise WireError(f"a token for {token.block!r} came to a board that hosts {', '.join(self._blocks)}")
        block.admit(token)

    def advance(self) -> bool:
        """Apply one token; False if no block is ready."""
        for block in self._latest_first:
            if block.ready:
                self.flush()
                self._apply(block)
                return True
        return False

    def _apply(self, block: B) -> None:
        applied = block.apply_next()
        if applied.onward is not None:  # first, since the next board may be idle
            self._hand_on(applied.onward)
        for token in applied.beside:
            self._hand_on(token)
        self._held = applied.message

    def _hand_on(self, token: Token) -> None:
        if token.block in self._blocks:
            self.admit(token)
        else:
            self._outlet(token)

    def flush(self) -> None:
        """Post the message held back; to be called before waiting."""
        held, self._held = self._held, None
        if held is not None:
            self._post(held)

    def close(self, let_go: Callable[[B], None] | None = None) -> None:
        """Post what is held back and free all blocks, each by `let_go`, by default its own `close`."""
        self.flush()
        for block in self._latest_first:
            if let_go is None:
                block.close()
            else:
                let_go(block)
