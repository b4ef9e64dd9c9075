"""Evaluating a chain of blocks on a data set with the eager forward pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from edgebll.data import Dataset, eval_batches
from edgebll.errors import DataError
from edgebll.learning import BlockStep


@dataclass(frozen=True)
class Evaluation:
    """accuracy: part of the samples classified rightly, 0 to 1. loss: mean cross-entropy. count: samples."""

    accuracy: float
    loss: float
    count: int


def evaluate(
    steps: Sequence[BlockStep], states: Mapping[str, Mapping[str, Tensor]], dataset: Dataset, batch_size: int
) -> Evaluation:
    """Classify every sample of `dataset` with the blocks in evaluation mode.

    Raises:
        DataError: the data set's images or classes are not those of the network.
    """
    check_fits(steps, dataset)
    correct, loss_sum = 0, 0.0
    for indices, count in eval_batches(len(dataset), batch_size):
        a = torch.from_numpy(dataset.images[indices])
        for step in steps:
            a = step.forward(states[step.name], a)
        labels = torch.from_numpy(dataset.labels[indices[:count]])
        logits = a[:count].double()
        correct += int((logits.argmax(1) == labels).sum())
        loss_sum += float(torch.nn.functional.cross_entropy(logits, labels, reduction="sum"))
    return Evaluation(correct / len(dataset), loss_sum / len(dataset), len(dataset))


def check_fits(steps: Sequence[BlockStep], dataset: Dataset) -> None:
    """Raise DataError unless the network takes this data set's images and has its classes."""
    shape, classes = steps[0].spec.input.shape[1:], steps[-1].spec.output.shape[1]
    if dataset.input_shape != shape or dataset.num_classes != classes:
        raise DataError(
            f"the network takes images of shape {shape} in {classes} classes, but {dataset.name} has "
            f"{dataset.input_shape} in {dataset.num_classes}; give the data set it was trained on"
        )
