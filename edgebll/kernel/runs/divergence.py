"""A run whose loss is no number any more ends, wherever its blocks compute: nothing it would learn from then on is of use."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgebll.kernel.errors import EdgebllError


def diverged(block: str, step: int) -> EdgebllError:
    """The error that ends such a run.

    Args:
        block: whose loss it is.
        step: training steps the block has done, with the one that gave the loss.
    """
    return EdgebllError(
        f"the loss of {block} is not a number any more at step {step}; run again with a smaller --lr, "
        "for --resume would come to the same"
    )


class LossWatch:
    """Ends a run at the first step whose loss is no number, and of that at the first block, whichever is heard of first.

    Blocks on different boards are at different steps. So an odd loss is only told when every block has done that step: the
    sentence is that of a run in one process.

    Args:
        blocks: names of all blocks, in stream order.
    """

    def __init__(self, blocks: Sequence[str]) -> None:
        self._blocks = tuple(blocks)
        self._done = dict.fromkeys(self._blocks, 0)  # as heard by this process: a run that is resumed is heard anew
        self._odd: dict[str, int] = {}  # block -> steps done with its first odd loss

    def take(self, block: str, done: int, loss: float) -> None:
        """Take the loss of a training step of a block.

        Args:
            block: its name.
            done: training steps it has done, with this one.
            loss: of the step.

        Raises:
            EdgebllError: a loss of a step that all blocks have done is no number.
        """
        self._done[block] = max(done, self._done[block])
        if not math.isfinite(loss):
            self._odd.setdefault(block, done)
        if not self._odd:
            return
        first = min(self._odd.values())
        if min(self._done.values()) >= first:
            raise diverged(next(name for name in self._blocks if self._odd.get(name) == first), first)
