"""Metrics of training steps that are still on the device: fetched together, so that nobody waits for it at every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Told:
    """Metrics of one training step.

    Attributes:
        step: done so far. epoch, lr: its own. metrics: of each block, in the order of its signature.
    """

    step: int
    epoch: int
    lr: float
    metrics: tuple[tuple[float, ...], ...]


class Pending:
    """Metrics not fetched yet.

    Args:
        every: how many steps may wait. Of the steps after `fetch` the first waits for none, so that a run which is to stop
            after a checkpoint stops there.
    """

    def __init__(self, every: int) -> None:
        self._every = every
        self._steps: list[tuple[int, int, float, Sequence[Tensor]]] = []
        self._limit = 1

    def add(self, step: int, epoch: int, lr: float, metrics: Sequence[Tensor]) -> bool:
        """Keep those of a step, a vector a block; returns whether it is time to fetch."""
        self._steps.append((step, epoch, lr, metrics))
        return len(self._steps) >= self._limit

    def fetch(self, *, stopping: bool = False) -> list[Told]:
        """All of them, oldest first, when the device has computed them.

        Args:
            stopping: whether a checkpoint follows.
        """
        self._limit = 1 if stopping else self._every
        steps, self._steps = self._steps, []
        vectors = [vector for *_, metrics in steps for vector in metrics]
        numbers = iter(torch.cat(vectors).tolist()) if vectors else iter(())
        return [
            Told(step, epoch, lr, tuple(tuple(next(numbers) for _ in range(len(vector))) for vector in metrics))
            for step, epoch, lr, metrics in steps
        ]
