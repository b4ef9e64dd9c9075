"""Batches that are not full: a training step that is told how many samples, from the front, count.

Graphs are static, so the last batch of an epoch is filled up, and the step gets a scalar `count` besides the learning rate.
Samples from there on weigh nothing, in no loss and in no feedback head, so the update is that of a batch of `count` samples, to
rounding. Batch normalisation sees the whole batch all the same: its statistics are of all samples that are there. A batch is
filled up with samples of its own, so that these statistics are of samples that belong there, some counted twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.last_batch import COUNT
from edgebll.learning.objective import Objective, Tensors
from edgebll.learning.reshaped import Reshaped
from edgebll.learning.step import BlockStep


class Masked(Reshaped):
    """An objective that counts the first samples of a batch alone."""

    def given(self, received: Tensors, x: Tensor) -> Objective:
        """The objective of one step, which knows how many samples count."""
        others = {name: value for name, value in received.items() if name != COUNT}
        return self.inner.given(others, x).weighted(counted(received[COUNT], len(x), x.device))

    def output(self, a: Tensor) -> Tensor:
        """As it is."""
        return a


def counted(count: Tensor, batch_size: int, device: torch.device) -> Tensor:
    """Weights (B,) of a batch's samples: 1 for the first `count` (0-d float), 0 for the others."""
    places = torch.arange(batch_size, dtype=torch.float32, device=device) + 0.5  # a count off by rounding is the same count
    return (places < count).to(torch.float32)


def mask_batches(steps: Iterable[BlockStep]) -> None:
    """Let new steps take the scalar `count`; those of frozen blocks, which learn nothing, stay as they are.

    Args:
        steps: of all blocks, just made.

    Raises:
        ConfigError: a step's objective knows no weights of samples.
    """
    for step in steps:
        if not step.spec.scalars:
            continue
        try:
            step.objective.weighted(torch.ones(step.spec.input.shape[0]))
        except NotImplementedError as error:
            raise ConfigError(
                f"the rule of {step.name} compares samples with each other, so a batch that is not full cannot be masked; drop "
                "the last batch, or use another rule, e.g. bll, greedy or pred"
            ) from error
        step.objective = Masked(step.objective)
        step.spec = replace(step.spec, scalars=(*step.spec.scalars, COUNT))
