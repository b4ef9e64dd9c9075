"""What tasks have in common whose target is a class, or shares of classes: cross-entropy with weights, smoothing, no label.

With y' = (1 - e) y + e/C, class weights w and N the samples or positions that have a label (their shares y sum to 1, of those
without to 0):

    L = - sum_n sum_c w_c y'_nc log softmax(z_n)_c / sum_n sum_c w_c y_nc

For whole labels that is PyTorch's `cross_entropy` with `weight`, `label_smoothing` and `ignore_index`, summed over its mean's
denominator; without options it is the mean over all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgebll.kernel.errors import ConfigError, DataError
from edgebll.kernel.tasks.label_spec import Shape
from edgebll.kernel.tasks.task import Task, TensorLike, Values

#: Shares of a soft label may sum to 1 with such an error.
_SHARE_ERROR = 1e-3
#: Part of the labels that is missing in examples of a task that allows it.
_BLANK_SHARE = 0.25


@dataclass(frozen=True)
class ClassTask(Task):
    """A task of classes along an axis of the output.

    Attributes:
        class_weights: w, a number for each class; empty is 1 each.
        label_smoothing: e in [0, 1).
        ignore_index: the label that stands for none, such as 255 in masks or -1; None if every sample has a class.
        class_axis: of outputs and targets, the batch axis counted.

    Raises:
        ConfigError: a number is out of range.
    """

    class_weights: tuple[float, ...] = ()
    label_smoothing: float = 0.0
    ignore_index: int | None = None

    classes: ClassVar[bool] = True
    class_axis: ClassVar[int] = -1

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise ConfigError(f"the label smoothing must lie in [0, 1), but is {self.label_smoothing}")
        if not isinstance(self.ignore_index, int | None):
            raise ConfigError(f"the ignore_index must be a whole number or none, not {self.ignore_index!r}")
        if self.class_weights and (min(self.class_weights) < 0 or max(self.class_weights) <= 0):
            raise ConfigError(f"class weights must not be negative, nor all 0, but are {self.class_weights}")

    @property
    def has_blanks(self) -> bool:
        """Whether some positions may have no label."""
        return self.ignore_index is not None

    def num_classes(self, outputs: Shape) -> int:
        """C."""
        return outputs[self.class_axis if self.class_axis < 0 else self.class_axis - 1]

    def check_weights(self, num_classes: int) -> None:
        """Raise ConfigError unless there is a weight for each class, or none at all."""
        if len(self.class_weights) not in (0, num_classes):
            raise ConfigError(
                f"the task {self.name} has {len(self.class_weights)} class weights, but there are {num_classes} classes; give "
                "one number for each class"
            )

    def check_labels(self, labels: Values, where: str, num_classes: int) -> None:
        """Raise DataError for a class beyond the range, or shares that are none."""
        if labels.dtype.kind == "f":
            if labels.ndim > 1:  # soft labels have their classes last, and the data set counts none
                self.check_weights(labels.shape[-1])
            self._check_shares(labels, where)
            return
        self.check_weights(num_classes)
        seen = labels if self.ignore_index is None else labels[labels != self.ignore_index]
        low, high = (int(seen.min()), int(seen.max())) if seen.size else (0, 0)
        if low < 0 or high >= num_classes:
            odd = low if low < 0 else high
            advice = (
                f"; if {odd} stands for no label, add --task-option ignore_index={odd}" if self.ignore_index is None else ""
            )
            raise DataError(f"{where}: labels must lie in 0..{num_classes - 1}, but reach from {low} to {high}{advice}")
        if not seen.size:
            raise DataError(f"{where}: every label is {self.ignore_index}, which counts as none; give samples with labels")

    def _check_shares(self, labels: Values, where: str) -> None:
        super().check_labels(labels, where, 0)
        total = labels.sum(axis=self.class_axis)
        off = np.abs(total - 1.0) > _SHARE_ERROR
        off &= (total != 0.0) if self.has_blanks else True
        if labels.min() < 0 or off.any():
            raise DataError(f"{where}: soft labels must be shares of classes, not negative and 1 in sum; mend the data")

    def one_hot(self, labels: Values, num_classes: int) -> Values:
        """Whole labels (...) as float32 (..., C); a row of zeros for none."""
        if self.ignore_index is None:
            return np.eye(num_classes, dtype=np.float32)[labels]
        blank = labels == self.ignore_index
        return np.eye(num_classes + 1, num_classes, dtype=np.float32)[np.where(blank, num_classes, labels)]

    def losses(self, output: TensorLike, y: TensorLike) -> TensorLike:
        """Mean over the positions of each sample, (B,)."""
        return -self._terms(output, y).flatten(1).sum(1) / self._positions(y)

    def weights(self, y: TensorLike) -> TensorLike | None:
        """Share of positions with a label, by their classes' weights, (B,)."""
        if not self.class_weights and not self.has_blanks:
            return None
        return self._weighted(y).flatten(1).sum(1) / self._positions(y)

    def loss_sum(self, output: TensorLike, y: TensorLike) -> TensorLike:
        """The sum over all in one go."""
        return -self._terms(output, y).sum() / self._positions(y)

    def loss(self, output: TensorLike, y: TensorLike, given: TensorLike | None = None) -> TensorLike:
        """The sum over all by their number, in one go where every position counts 1."""
        if given is not None or self.class_weights or self.has_blanks:
            return super().loss(output, y, given)
        return -self._terms(output, y).sum() / (len(y) * self._positions(y))

    def _terms(self, output: TensorLike, y: TensorLike) -> TensorLike:
        return self._weighted(self._smoothed(y)) * output.log_softmax(self.class_axis)

    def _smoothed(self, y: TensorLike) -> TensorLike:
        e = self.label_smoothing
        if not e:
            return y
        share = e / y.shape[self.class_axis]
        return (1.0 - e) * y + (share * y.sum(self.class_axis, keepdim=True) if self.has_blanks else share)

    def _weighted(self, y: TensorLike) -> TensorLike:
        if not self.class_weights:
            return y
        shape = [1] * y.ndim
        shape[self.class_axis] = -1
        return y * y.new_tensor(self.class_weights).reshape(*shape)

    def _positions(self, y: TensorLike) -> int:
        return int(math.prod(y.shape[1:])) // int(y.shape[self.class_axis])

    def example_labels(self, batch_size: int, positions: Shape, num_classes: int, generator: np.random.Generator) -> Values:
        """Random classes, one-hot (B, *positions, C); where labels may be missing, some are, but none of the first sample."""
        shape = (batch_size, *positions)
        values: Values = np.eye(num_classes, dtype=np.float32)[generator.integers(0, num_classes, shape)]
        if self.has_blanks:
            blank = generator.random(shape) < _BLANK_SHARE
            blank[0] = False
            values[blank] = 0.0
        return values
