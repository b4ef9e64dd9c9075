"""Multi-label classification: each of C labels is there or not, by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgebll.kernel.errors import ConfigError, DataError
from edgebll.kernel.tasks.label_spec import LabelSpec, Shape
from edgebll.kernel.tasks.task import HIGHER, Task, TensorLike, Values


@dataclass(frozen=True)
class MultiLabel(Task):
    """A yes or no for each of C labels, outputs (C,): binary cross-entropy of z, before the sigmoid.

    Labels are 0 or 1, (N, C) of numbers; whole classes (N,) count as the one label that is there.

    Attributes:
        positive_weight: how much a label that is there counts, beside 1 for one that is not.

    Raises:
        ConfigError: the weight is not above 0.

    Examples:
        >>> from edgebll.kernel.tasks import MultiLabel
        >>> MultiLabel(positive_weight=4.0).options()
        {'positive_weight': 4.0}
    """

    positive_weight: float = 1.0

    name: ClassVar[str] = "multilabel"
    summary: ClassVar[str] = "Each of several labels is there or not."
    equation: ClassVar[str] = "mean over labels of softplus(z) - y z"
    metrics: ClassVar[dict[str, str]] = {"f1": HIGHER, "exact_match": HIGHER}

    def __post_init__(self) -> None:
        if self.positive_weight <= 0:
            raise ConfigError(f"multilabel's positive_weight must be above 0, not {self.positive_weight}")

    def outputs(self, labels: LabelSpec) -> Shape:
        """(C,)."""
        shape = super().outputs(labels)
        if labels.dtype == "int64" and not labels.shape:
            return (labels.num_classes,)
        if len(labels.shape) != 1:
            raise DataError(f"{labels.where}: multilabel takes labels (N, C) of 0 and 1, not {labels.shape} a sample")
        return shape

    def check_labels(self, labels: Values, where: str, num_classes: int) -> None:
        """Only 0 and 1, or classes that there are."""
        super().check_labels(labels, where, num_classes)
        if labels.ndim == 1 and not (labels.dtype.kind in "iu" and ((labels >= 0) & (labels < num_classes)).all()):
            raise DataError(f"{where}: labels of multilabel must be classes 0..{num_classes - 1}, or 0 or 1 for each class")
        if labels.ndim > 1 and not np.isin(labels, (0, 1)).all():
            raise DataError(f"{where}: labels of multilabel must be 0 or 1, one for each class; mend the data")

    def targets(self, labels: Values, num_classes: int) -> Values:
        """Numbers 0 and 1."""
        return np.eye(num_classes, dtype=np.float32)[labels] if labels.ndim == 1 else super().targets(labels, num_classes)

    def losses(self, output: TensorLike, y: TensorLike) -> TensorLike:
        """softplus(z) - y z without overflow, and (p - 1) y softplus(-z) more where a label that is there counts p."""
        soft = (-output.abs()).exp().log1p()
        loss = output.clamp(min=0.0) - y * output + soft
        if self.positive_weight != 1.0:
            loss = loss + (self.positive_weight - 1.0) * y * ((-output).clamp(min=0.0) + soft)
        return loss.flatten(1).mean(1)

    def feedback_target(self, y: TensorLike) -> TensorLike:
        """Every label."""
        return y.flatten(1)

    def scores(self, output: Values, y: Values) -> dict[str, Values]:
        """Labels found, wrongly found and missed, by sample."""
        said, true = output > 0, y > 0.5
        axes = tuple(range(1, y.ndim))
        found = {"hit": said & true, "false": said & ~true, "missed": ~said & true}
        return {**{name: each.sum(axis=axes) for name, each in found.items()}, "exact_match": (said == true).all(axis=axes)}

    def results(self, sums: Mapping[str, float]) -> dict[str, float]:
        """F1 over all labels of all samples, 2 hits / (2 hits + false + missed); and the part of samples all right."""
        hit, wrong = sums["hit_sum"], sums["false_sum"] + sums["missed_sum"]
        own = 2 * hit / (2 * hit + wrong) if hit + wrong else 1.0
        return {**super().results({**sums, "f1_sum": 0.0}), "f1": own}

    def examples(self, batch_size: int, outputs: Shape, generator: np.random.Generator) -> Values:
        """Each label is there half of the time."""
        return generator.integers(0, 2, (batch_size, *outputs)).astype(np.float32)
