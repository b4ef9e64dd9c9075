"""Which loss is told of, in whatever order boards are heard of."""

from __future__ import annotations

import itertools

import pytest

from edgebll.kernel.errors import EdgebllError
from edgebll.kernel.runs.divergence import LossWatch

BLOCKS = ("block0", "block1", "block2")
#: Losses of three steps of three blocks: block2 is the first to lose its way, at step 2, and so is block1.
LOSSES = {"block0": [1.0, 1.0, float("inf")], "block1": [1.0, float("nan"), 1.0], "block2": [1.0, float("-inf"), 1.0]}


def hear(order: tuple[str, ...]) -> tuple[str, int]:
    """What is said when blocks report in this order, and after how many reports."""
    watch, recorded = LossWatch(BLOCKS), dict.fromkeys(BLOCKS, 0)
    for heard, block in enumerate(order, 1):
        recorded[block] += 1
        try:
            watch.take(block, recorded[block], LOSSES[block][recorded[block] - 1])
        except EdgebllError as error:
            assert all(done >= 2 for done in recorded.values())
            return str(error), heard
    raise AssertionError(order)


def test_every_order_of_reports_gives_the_sentence_of_one_process() -> None:
    in_turn, heard = hear(BLOCKS * 3)
    assert in_turn.startswith("the loss of block1 is not a number any more at step 2; run again with a smaller --lr")
    assert heard == 6
    orders = set(itertools.permutations(BLOCKS * 3))
    assert {hear(order)[0] for order in orders} == {in_turn}


def test_a_block_that_is_not_heard_of_yet_is_waited_for() -> None:
    watch = LossWatch(BLOCKS)
    watch.take("block0", 1, float("nan"))
    watch.take("block1", 1, 1.0)
    with pytest.raises(EdgebllError, match="the loss of block0 is not a number any more at step 1;"):
        watch.take("block2", 1, 1.0)
