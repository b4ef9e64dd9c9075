"""What a task is: what a sample's target looks like, what a loss is, and by which numbers a network is judged.

A task is one class. It needs neither torch nor onnx, because hosts and boards evaluate with it. Its loss is written with tensor
methods alone (`NumpyTensor` lists them): the training step calls it with torch tensors, evaluation with numpy in float64.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from edgebll.kernel.errors import ConfigError, DataError
from edgebll.kernel.tasks.label_spec import LabelSpec, Shape
from edgebll.kernel.tasks.numpy_tensor import NumpyTensor

#: A torch tensor in training, a `NumpyTensor` in evaluation.
TensorLike = Any
Values = np.ndarray[Any, Any]
#: Directions of metrics.
HIGHER, LOWER = "higher", "lower"
#: A mean over nothing is 0, not NaN.
_TINY = 1e-12
#: Numbers that a feedback head sees of a target at most.
_SEEN = 32


@dataclass(frozen=True)
class Task:
    """Base of all tasks; a subclass's fields are its options, `losses` is all it must write.

    Attributes:
        name: as in TASKS; that of the class where it says none.
        summary: one line.
        equation: the loss of one sample, with z the network's output and y the target.
        metrics: what `scores` gives besides the loss -> HIGHER or LOWER, whichever is better; the first is the most telling.
        classes: whether y holds shares of classes along its class axis, so that a mean for each class says all of it.
        by_position: whether outputs (T, C) have a target for each of T positions.
        per_pixel: whether outputs (C, ...) have a target for each point in space.
        of_input: whether the target is the sample itself.

    Examples:
        >>> from dataclasses import dataclass
        >>> from edgebll.kernel.tasks import Task
        >>> @dataclass(frozen=True)
        ... class LogCosh(Task):
        ...     metrics = {"max_error": "lower"}
        ...     scale: float = 1.0
        ...
        ...     def losses(self, output, y):
        ...         e = ((output - y) / self.scale).abs()
        ...         return (e + (e * -2.0).exp().log1p() - 0.6931472).flatten(1).mean(1)
        ...
        ...     def scores(self, output, y):
        ...         return {"max_error": abs(output - y).max(axis=1)}
        >>> LogCosh(scale=2.0).options()
        {'scale': 2.0}
    """

    name: ClassVar[str] = ""
    summary: ClassVar[str] = ""
    equation: ClassVar[str] = ""
    metrics: ClassVar[Mapping[str, str]] = {}
    classes: ClassVar[bool] = False
    by_position: ClassVar[bool] = False
    per_pixel: ClassVar[bool] = False
    of_input: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        if "name" not in vars(cls):
            cls.name = cls.__name__

    def options(self) -> dict[str, Any]:
        """All options by name."""
        return asdict(self)

    def outputs(self, labels: LabelSpec) -> Shape:
        """Shape of one sample of what a network must give for these labels; by default that of a label of numbers.

        Args:
            labels: of the data set.

        Raises:
            DataError: the task is none for these labels.
        """
        if not labels.dtype:
            raise DataError(f"{labels.where} has no labels, which the task {self.name} needs; use --task reconstruction")
        return labels.shape or (1,)

    def check_outputs(self, outputs: Shape, num_classes: int | None, input_shape: Shape) -> None:
        """Raise ConfigError unless a network for this task may give `outputs`; by default anything with an axis.

        Args:
            outputs: of one sample, as the last block gives it.
            num_classes: as the network was told, None if it was not.
            input_shape: of one sample.
        """
        if not outputs:
            raise ConfigError(
                f"the last block of a network for {self.name} must return (B, D), but returns one number a sample"
            )

    def num_outputs(self, outputs: Shape) -> int:
        """How many numbers one layer gives for outputs of this shape, a position's where each has a target of its own."""
        return math.prod(outputs)

    def num_classes(self, outputs: Shape) -> int:
        """Number of classes of a network that gives `outputs`; of a task without classes, of its numbers."""
        return self.num_outputs(outputs)

    def target(self, outputs: Shape) -> tuple[str, Shape]:
        """dtype and shape of one sample's target as graphs get it, for a network that gives `outputs`."""
        return "float32", outputs

    def targets(self, labels: Values, num_classes: int) -> Values:
        """Labels as graphs get them; by default numbers as they are.

        Args:
            labels: (B, ...), as the data set has them.
            num_classes: of the data set.
        """
        values: Values = np.ascontiguousarray(labels, np.float32)
        return values[:, None] if values.ndim == 1 else values

    def check_labels(self, labels: Values, where: str, num_classes: int) -> None:
        """Raise DataError where labels hold what the task cannot learn; by default numbers that are not finite.

        Args:
            labels: all of a data set.
            where: its name.
            num_classes: of the data set.
        """
        odd = ~np.isfinite(labels)
        if odd.any():
            raise DataError(f"{where}: the label of sample {int(np.argwhere(odd)[0][0])} is not a finite number; mend the data")

    def losses(self, output: TensorLike, y: TensorLike) -> TensorLike:
        """Loss of each sample (B,), times its weight.

        Args:
            output: of the network (B, *outputs), float32 in training and float64 in evaluation.
            y: targets (B, *target).
        """
        raise NotImplementedError

    def weights(self, y: TensorLike) -> TensorLike | None:
        """Weight of each sample (B,); by default None, which is 1 each.

        Args:
            y: targets (B, *target).
        """
        return None

    def loss(self, output: TensorLike, y: TensorLike, given: TensorLike | None = None) -> TensorLike:
        """Loss of a batch, 0-d: the sum of losses by the sum of weights.

        Args:
            output: (B, *outputs).
            y: (B, *target).
            given: a further weight of each sample (B,), e.g. 0 for what only fills up a batch.
        """
        losses, weights = self.losses(output, y), self.weights(y)
        if given is not None:
            losses, weights = losses * given, given if weights is None else given * weights
        if weights is None:
            return losses.mean()
        return losses.sum() / weights.sum().clamp(min=_TINY)

    def loss_sum(self, output: TensorLike, y: TensorLike) -> TensorLike:
        """Sum of the losses of a batch, 0-d.

        Args:
            output: (B, *outputs).
            y: (B, *target).
        """
        return self.losses(output, y).sum()

    def feedback_target(self, y: TensorLike) -> TensorLike:
        """What a feedback head sees of targets: float (B, D); by default all numbers, means of neighbours where they are many.

        Args:
            y: (B, *target).
        """
        flat = y.flatten(1)
        width = -(-flat.shape[1] // _SEEN)
        whole = flat.shape[1] // width
        return flat if width == 1 else flat[:, : whole * width].reshape(len(flat), whole, width).mean(2)

    def at_position(self) -> Task:
        """The task of one position or pixel, for tasks of many."""
        return self

    def scores(self, output: Values, y: Values) -> dict[str, Values]:
        """Each of `metrics` for each sample (B,), in numpy; the figure of a data set is the mean.

        Args:
            output: float64 (B, *outputs).
            y: float64 (B, *target).
        """
        return {}

    def sums(self, output: Values, y: Values, count: int) -> dict[str, float]:
        """What an evaluated batch adds to the sums that `results` makes figures of. Names and values travel to the host.

        Args:
            output: (B, *outputs).
            y: (B, *target).
            count: valid samples, from the front.
        """
        z, target = np.asarray(output[:count], np.float64), np.asarray(y[:count], np.float64)
        weights = self.weights(NumpyTensor(target))
        found = {f"{name}_sum": float(values.sum()) for name, values in self.scores(z, target).items()}
        found["loss_sum"] = float(self.loss_sum(NumpyTensor(z), NumpyTensor(target)).array)
        found["count"] = float(count)
        if weights is not None:
            found["loss_weight"] = float(weights.sum().array)
        return found

    def results(self, sums: Mapping[str, float]) -> dict[str, float]:
        """Figures of a data set: each of `metrics`, then "loss".

        Args:
            sums: what `sums` gave, added up over all batches.
        """
        found = {name: sums[f"{name}_sum"] / sums["count"] for name in self.metrics}
        return {**found, "loss": sums["loss_sum"] / max(sums.get("loss_weight", sums["count"]), _TINY)}

    def examples(self, batch_size: int, outputs: Shape, generator: np.random.Generator) -> Values:
        """Targets to try a network with, where there are none: by default from N(0, 1).

        Args:
            batch_size: B.
            outputs: of one sample.
            generator: decides them.
        """
        dtype, shape = self.target(outputs)
        values: Values = generator.standard_normal((batch_size, *shape)).astype(dtype)
        return values
