"""Evaluating a chain of blocks on a data set with the eager forward pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from edgebll.data import Dataset, eval_batches
from edgebll.kernel.errors import DataError
from edgebll.learning import BlockStep
from edgebll.learning.training.device_data import DeviceData


@dataclass(frozen=True)
class Evaluation:
    """accuracy: part of the labels found, 0 to 1. loss: mean cross-entropy of a label. count: samples."""

    accuracy: float
    loss: float
    count: int


def evaluate(
    steps: Sequence[BlockStep], states: Mapping[str, Mapping[str, Tensor]], data: DeviceData, batch_size: int
) -> Evaluation:
    """Classify every sample of `data` with the blocks in evaluation mode; states are on the device that it is on.

    Raises:
        DataError: the data set's images or classes are not those of the network.
    """
    dataset = data.dataset
    check_fits(steps, dataset)
    correct = torch.zeros((), dtype=torch.int64, device=data.placement.device)
    loss_sum = torch.zeros((), dtype=torch.float64, device=data.placement.device)
    for indices, count in eval_batches(len(dataset), batch_size):
        chosen = data.sent(indices)
        a = data.inputs(chosen)
        for step in steps:
            a = step.forward(states[step.name], a)
        labels = data.labels(chosen[:count]).flatten()
        logits = a[:count].double().flatten(0, -2)
        correct += (logits.argmax(1) == labels).sum()
        loss_sum += torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
    return Evaluation(int(correct) / dataset.labels.size, float(loss_sum) / dataset.labels.size, len(dataset))


def check_fits(steps: Sequence[BlockStep], dataset: Dataset, advice: str = "give the data set it was trained on") -> None:
    """Raise DataError, which ends in `advice`, unless the network takes these samples and gives scores for their labels."""
    x, labels = steps[0].spec.input, steps[-1].spec.output.shape[1:]
    shape = x.shape[1:]
    dataset = dataset.as_dtype(x.dtype)
    if dataset.input_shape != shape or dataset.label_shape != labels:
        raise DataError(
            f"the network takes samples of shape {shape} and gives scores {labels}, but "
            f"{dataset.name} has samples {dataset.input_shape} with labels {dataset.label_shape}; {advice}"
        )
