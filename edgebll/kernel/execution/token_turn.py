"""When a token's turn has come at its block: the one rule for blocks that compute, and for those of a run in virtual time."""

from __future__ import annotations

from typing import Any

from edgebll.kernel.state.side_stream_queues import Inlet
from edgebll.kernel.wire import END, TRAIN, Token


def may_be_applied(token: Token, inlet: Inlet[Any]) -> bool:
    """Whether a block may apply the token that is its next one.

    A training step waits for its side streams, and END for the rest of them, so that nothing comes after it.

    Args:
        token: of the chain.
        inlet: the side streams into the block.
    """
    if token.kind == TRAIN:
        return inlet.ready
    return token.kind != END or inlet.caught_up(token.step)
