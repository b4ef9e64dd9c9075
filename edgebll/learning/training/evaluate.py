"""Evaluating a chain of blocks on a data set with the eager forward pass."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from edgebll.data import Dataset, eval_batches
from edgebll.data.token_stream import check_side_inputs
from edgebll.kernel.errors import DataError
from edgebll.learning import BlockStep
from edgebll.learning.step import HEAD
from edgebll.learning.training.device_data import DeviceData


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        metrics: the task's, by name, then "loss": for classification "accuracy", the part of the labels found, and the mean
            cross-entropy of a label.
        count: samples.
        heads: name of a block -> the same metrics of its auxiliary network, where that was asked for and gives any.
    """

    metrics: dict[str, float]
    count: int
    heads: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def accuracy(self) -> float | None:
        """Part of the labels found, 0 to 1; None where the task has none."""
        return self.metrics.get("accuracy")

    @property
    def loss(self) -> float:
        """Mean loss of a sample."""
        return self.metrics["loss"]


def evaluate(
    steps: Sequence[BlockStep],
    states: Mapping[str, Mapping[str, Tensor]],
    data: DeviceData,
    batch_size: int,
    *,
    heads: bool = False,
) -> Evaluation:
    """Judge the network on every sample of `data`, blocks in evaluation mode; states are on the device that it is on.

    Args:
        steps: of the blocks.
        states: of each, by its name.
        data: the samples.
        batch_size: samples that are computed together.
        heads: judge the auxiliary networks of the blocks too.

    Raises:
        DataError: the data set's samples or labels are not those of the network.
    """
    dataset = data.dataset
    check_fits(steps, dataset)
    totals: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for indices, count in eval_batches(len(dataset), batch_size):
        chosen = data.sent(indices)
        x = a = data.inputs(chosen)
        y, inputs = data.targets(chosen, x), data.side_inputs(chosen)
        for step in steps:
            a = step.forward(states[step.name], a, inputs)
            given = a if step is steps[-1] else _head_scores(step, states[step.name], a) if heads else None
            if given is None or given.numel() != len(a) * math.prod(dataset.outputs):
                continue
            scores = given.reshape(len(a), *dataset.outputs).cpu().numpy()
            for name, value in dataset.task.sums(scores, y.cpu().numpy(), count).items():
                totals[step.name][name] += value
    found = {block: dataset.task.results(own) for block, own in totals.items()}
    return Evaluation(found.pop(steps[-1].name), len(dataset), found)


def _head_scores(step: BlockStep, state: Mapping[str, Tensor], a: Tensor) -> Tensor | None:
    """What a block's auxiliary network gives for the block's output a (B, ...), in evaluation mode."""
    head = next(module for module in step.modules if module.prefix == HEAD)
    feedback = {name: state[name] for name in step.spec.feedback_state}
    with torch.no_grad(), head.on(state, train=False) as call:
        return step.objective.scores(call, feedback, a)


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
