"""What is to come at least, for every set of boards that is left over: dynamic programming over kinds of boards.

least[left, last, i] is the least that the busiest board or link still has to do, if blocks i and later go to boards that are
`left` and the block before them is on a board of the kind `last`. For boards and links alone it is exact; window and backward
streams can only make it longer. So it is a bound that leads a best-first search straight to the best placement.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from edgebll_firmware_host.policy.placement_problem import Floats, PlacementProblem

#: Of states times kinds times runs of blocks: more are not looked at, it takes a second then. 12 boards and 32 blocks fit.
MOST_WORK = 60_000_000


class PlacementBounds:
    """Bounds for a problem that is small enough, see `fits`.

    Args:
        problem: the placement to be found.
    """

    def __init__(self, problem: PlacementProblem) -> None:
        counts = [len(names) for names in problem.kinds]
        self._strides = np.array([int(np.prod([c + 1 for c in counts[kind + 1 :]])) for kind in range(len(counts))])
        self._counts, self._problem = counts, problem
        n, kinds = problem.num_blocks, len(counts)
        self.least: Floats = np.full((problem.num_states, kinds + 1, n + 1), np.inf)
        self.least[:, :, n] = 0.0
        self._solve()

    @staticmethod
    def fits(problem: PlacementProblem) -> bool:
        """Whether a problem is small enough."""
        states = np.prod([float(len(names) + 1) for names in problem.kinds])
        return bool(states * len(problem.kinds) * (problem.num_blocks + 1) ** 2 <= MOST_WORK)

    def state(self, left: Sequence[int]) -> int:
        """Number of a state: how many boards of each kind are left."""
        return int(np.dot(self._strides, left))

    def _solve(self) -> None:
        """States with fewer boards left come first; all with the same number at once."""
        problem = self._problem
        left = np.array(list(product(*(range(count + 1) for count in self._counts))))
        totals = left.sum(axis=1)
        for total in range(1, int(totals.max()) + 1):
            states = np.flatnonzero(totals == total)
            for kind in range(len(self._counts)):
                able = states[left[states, kind] > 0]
                after = self.least[able - self._strides[kind], kind]  # (states, n + 1): blocks from j on
                run = np.maximum(problem.load[kind][None], after[:, None, :]).min(axis=2)
                found = np.maximum(problem.carry[None, :, kind], run[:, None, :])
                self.least[able] = np.minimum(self.least[able], found)
