"""Classification: a class for each sample, or for each position of a sequence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgebll.kernel.errors import ConfigError, DataError
from edgebll.kernel.tasks.class_task import ClassTask
from edgebll.kernel.tasks.label_spec import LabelSpec, Shape
from edgebll.kernel.tasks.task import HIGHER, Values


@dataclass(frozen=True)
class Classification(ClassTask):
    """One of C classes a sample, outputs (C,), or one at each of T positions of a sequence, outputs (T, C).

    Labels are whole numbers (N,) or (N, T), or soft: shares of the classes (N, C) or (N, T, C).

    Examples:
        >>> from edgebll.kernel.tasks import Classification
        >>> Classification(class_weights=(1.0, 3.0)).options()["class_weights"]
        (1.0, 3.0)
    """

    name: ClassVar[str] = "classification"
    summary: ClassVar[str] = "A class for each sample, or for each position of a sequence."
    equation: ClassVar[str] = "-sum_c w_c y_c log softmax(z)_c"
    metrics: ClassVar[dict[str, str]] = {"accuracy": HIGHER}
    by_position: ClassVar[bool] = True

    def outputs(self, labels: LabelSpec) -> Shape:
        """(C,) or (T, C)."""
        super().outputs(labels)
        if labels.dtype == "float32":
            if len(labels.shape) not in (1, 2):
                raise DataError(f"{labels.where}: soft labels must be (N, C) or (N, T, C), but one is {labels.shape}")
            return labels.shape
        if not labels.num_classes:
            raise DataError(f"{labels.where} has numbers for labels, no classes; use --task regression")
        if len(labels.shape) > 1:
            raise DataError(f"{labels.where} has labels of shape {labels.shape} for each sample; use --task segmentation")
        return (*labels.shape, labels.num_classes)

    def check_outputs(self, outputs: Shape, num_classes: int | None, input_shape: Shape) -> None:
        """Scores for each class, of each sample or each position."""
        classes = outputs[-1] if num_classes is None and outputs else num_classes
        if len(outputs) not in (1, 2) or outputs[-1] != classes:
            returned = ", ".join(map(str, ("B", *outputs)))
            raise ConfigError(
                f"the last block must return class scores (B, {classes}), or (B, positions, {classes}) for sequences, but "
                f"returns ({returned})"
            )
        check_classes(int(outputs[-1]))
        self.check_weights(int(outputs[-1]))

    def num_outputs(self, outputs: Shape) -> int:
        """C."""
        return outputs[-1]

    def targets(self, labels: Values, num_classes: int) -> Values:
        """One-hot, or shares as they are."""
        return super().targets(labels, 0) if labels.dtype.kind == "f" else self.one_hot(labels, num_classes)

    def sums(self, output: Values, y: Values, count: int) -> dict[str, float]:
        """Samples that are right, a sequence for the part of its positions; with blanks, the part of those with a label."""
        z, target = output[:count], y[:count]
        labelled = target.sum(axis=-1) > 0
        right = (z.argmax(axis=-1) == target.argmax(axis=-1)) & labelled
        positions = max(1, int(np.prod(z.shape[1:-1])))
        found = {"correct": float(np.count_nonzero(right) / positions), **super().sums(output, y, count)}
        if self.has_blanks:
            found["labelled"] = float(np.count_nonzero(labelled) / positions)
        return found

    def results(self, sums: dict[str, float]) -> dict[str, float]:  # type: ignore[override]
        """Accuracy over what has a label."""
        labelled = sums.get("labelled", sums["count"])
        return {**super().results({**sums, "accuracy_sum": 0.0}), "accuracy": sums["correct"] / max(labelled, 1e-12)}

    def examples(self, batch_size: int, outputs: Shape, generator: np.random.Generator) -> Values:
        """Random classes."""
        return self.example_labels(batch_size, outputs[:-1], outputs[-1], generator)


def check_classes(num_classes: int) -> None:
    """Raise ConfigError if there is nothing to tell apart: the cross-entropy of one class is 0 whatever a network computes."""
    if num_classes < 2:
        raise ConfigError(
            f"a network tells at least two classes apart, not {num_classes}: the loss would always be 0 and nothing would "
            "learn; for a yes or no use num_classes=2, with labels 0 and 1 and two scores from the last layer"
        )
