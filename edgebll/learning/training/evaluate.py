"""Evaluating a chain of blocks on a data set with the eager forward pass."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from edgebll.data import Dataset, eval_batches
from edgebll.data.token_stream import check_side_inputs
from edgebll.kernel.errors import DataError
from edgebll.learning import BlockStep
from edgebll.learning.training.device_data import DeviceData


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        metrics: the task's, by name, then "loss": for classification "accuracy", the part of the labels found, and the mean
            cross-entropy of a label.
        count: samples.
    """

    metrics: dict[str, float]
    count: int

    @property
    def accuracy(self) -> float | None:
        """Part of the labels found, 0 to 1; None where the task has none."""
        return self.metrics.get("accuracy")

    @property
    def loss(self) -> float:
        """Mean loss of a sample."""
        return self.metrics["loss"]


def evaluate(
    steps: Sequence[BlockStep], states: Mapping[str, Mapping[str, Tensor]], data: DeviceData, batch_size: int
) -> Evaluation:
    """Judge the network on every sample of `data`, blocks in evaluation mode; states are on the device that it is on.

    Raises:
        DataError: the data set's samples or labels are not those of the network.
    """
    dataset = data.dataset
    check_fits(steps, dataset)
    totals: dict[str, float] = defaultdict(float)
    for indices, count in eval_batches(len(dataset), batch_size):
        chosen = data.sent(indices)
        x = a = data.inputs(chosen)
        y, inputs = data.targets(chosen, x), data.side_inputs(chosen)
        for step in steps:
            a = step.forward(states[step.name], a, inputs)
        for name, value in dataset.task.sums(a.cpu().numpy(), y.cpu().numpy(), count).items():
            totals[name] += value
    return Evaluation(dataset.task.results(totals), len(dataset))


def check_fits(steps: Sequence[BlockStep], dataset: Dataset, advice: str = "give the data set it was trained on") -> None:
    """Raise DataError, which ends in `advice`, unless the network takes these samples and gives what their labels ask for."""
    x, given, target = steps[0].spec.input, steps[-1].spec.output.shape[1:], steps[-1].spec.labels.shape[1:]
    shape = x.shape[1:]
    dataset = dataset.as_dtype(x.dtype)
    if dataset.input_shape != shape or dataset.outputs != given or dataset.target_shape != target:
        raise DataError(
            f"the network takes samples of shape {shape} and gives scores {given}, but "
            f"{dataset.name} has samples {dataset.input_shape} with labels {dataset.target_shape}; {advice}"
        )
    check_side_inputs("the network", [step.spec for step in steps], dataset, advice)
