"""What chance adds to the costs of a run in virtual time: steps that take longer, links that jitter and lose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgebll.kernel.wire import END, EVAL, SNAPSHOT, TRAIN
from edgebll_firmware_host.simulation.block_costs import HEADER_BYTES, BlockCosts, Numbers, Times, nanoseconds
from edgebll_firmware_host.simulation.virtual_cluster import SEGMENT_BYTES, TAIL_S


class Draws:
    """What chance adds to the costs, token by token: a function of the seed, the incarnation and the token's number alone.

    Args:
        costs: of the placement.
        seed: of the run in virtual time.
        incarnation: of the run, from 1.
        rows: tokens drawn at once.
    """

    def __init__(self, costs: BlockCosts, seed: int, incarnation: int, rows: int = 128) -> None:
        self._costs, self._rows = costs, rows
        self._random = [np.random.RandomState([seed, incarnation, what]) for what in range(3)]  # the same in all releases
        blocks = len(costs.boards)
        links = [*costs.links, *(costs.cluster.between(*costs.ends(edge)) for edge in costs.sides)]
        crosses = [*costs.crosses, True, *(len(set(costs.ends(edge))) > 1 for edge in costs.sides)]
        self._jitter = np.array([1e9 * link.jitter_s * far for link, far in zip(links, crosses, strict=True)])
        self._loss = np.array([link.loss * far for link, far in zip(links, crosses, strict=True)])
        self._again = np.array([nanoseconds(2 * link.latency_s) for link in links], np.int64)
        sides = [costs.side_bytes(edge) for edge in costs.sides]
        self._segments = {
            kind: np.array([-(-size // SEGMENT_BYTES) for size in (*costs.token_bytes[kind], HEADER_BYTES, *sides)])
            for kind in (TRAIN, EVAL, SNAPSHOT, END)
        }
        self._blocks = blocks

    def next_rows(self) -> DrawnRows:
        """The draws of the next tokens."""
        shape = self._rows, len(self._jitter)
        steps, delays, chances = self._random
        return DrawnRows(
            self,
            self._rows,
            steps.standard_normal((self._rows, self._blocks)) if self._costs.spread.any() else None,
            delays.standard_normal(shape) if self._jitter.any() else None,
            chances.random_sample(shape) if self._loss.any() else None,
        )

    def compute(self, kind: str, z: Numbers | None) -> Times:
        """Computing times of all blocks; `z` is drawn from N(0, 1), whatever its first axes."""
        base, spread = self._costs.compute[kind], self._costs.spread
        if z is None or kind not in (TRAIN, EVAL):
            return base
        return np.rint(base * np.exp(spread * z - spread**2 / 2)).astype(np.int64)  # the mean stays

    def delay(self, kind: str, z: Numbers | None, u: Numbers | None) -> Times | int:
        """What the links add to their latency: jitter, and segments that are sent again.

        A lost segment is noticed by those that follow and costs a round trip; the last one, which none follows, a timeout.
        """
        added: Any = 0
        if z is not None:
            added = added + np.rint(self._jitter * np.abs(z)).astype(np.int64)
        if u is not None:
            any_lost = u < 1 - (1 - self._loss) ** self._segments[kind]
            tail_lost = u < self._loss
            added = added + np.where(tail_lost, self._again + nanoseconds(TAIL_S), np.where(any_lost, self._again, 0))
        return added  # type: ignore[no-any-return]


@dataclass(frozen=True)
class DrawnRows:
    """Draws of `count` tokens in a row; None where nothing is left to chance."""

    draws: Draws
    count: int
    steps: Numbers | None
    delays: Numbers | None
    chances: Numbers | None

    def compute(self, kind: str, row: int | slice) -> Times:
        """Computing times (..., blocks) of a token, or of some."""
        return self.draws.compute(kind, None if self.steps is None else self.steps[row])

    def delay(self, kind: str, row: int | slice) -> Times | int:
        """Delays (..., links) beyond the latency."""
        picked = (None if each is None else each[row] for each in (self.delays, self.chances))
        return self.draws.delay(kind, *picked)
