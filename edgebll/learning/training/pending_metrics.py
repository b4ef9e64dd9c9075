"""Metrics of training steps that are still on the device: fetched together, so that nobody waits for it at every step."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

#: Nobody who watches a run shall wait longer for news of it.
_NEWS_S = 2.0


@dataclass(frozen=True)
class Told:
    """Metrics of one training step.

    Attributes:
        step: done so far.
        epoch: the epoch it belongs to.
        lr: the learning rate it was made with.
        metrics: of each block, in the order of its signature.
    """

    step: int
    epoch: int
    lr: float
    metrics: tuple[tuple[float, ...], ...]


class Pending:
    """Metrics not fetched yet.

    Args:
        most: how many steps may wait; fewer where they take long. After a checkpoint the first step waits for none, so that a
            run which is to stop there does.
        now: the clock, in seconds.
    """

    def __init__(self, most: int, now: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._now = now
        self._steps: list[tuple[int, int, float, Sequence[Tensor]]] = []
        self._limit = 1
        self._fetched = now()

    def add(self, step: int, epoch: int, lr: float, metrics: Sequence[Tensor]) -> bool:
        """Keep those of a step, a vector a block; returns whether it is time to fetch."""
        self._steps.append((step, epoch, lr, metrics))
        return len(self._steps) >= self._limit

    def fetch(self, *, stopping: bool = False) -> list[Told]:
        """All of them, oldest first, when the device has computed them.

        Args:
            stopping: whether a checkpoint follows.
        """
        steps, self._steps = self._steps, []
        vectors = [vector for *_, metrics in steps for vector in metrics]
        numbers = iter(torch.cat(vectors).tolist()) if vectors else iter(())
        before, self._fetched = self._fetched, self._now()
        in_time = _NEWS_S * len(steps) / max(self._fetched - before, 1e-6)
        self._limit = 1 if stopping else max(1, min(self._most, int(in_time)))
        return [
            Told(step, epoch, lr, tuple(tuple(next(numbers) for _ in range(len(vector))) for vector in metrics))
            for step, epoch, lr, metrics in steps
        ]
