"""Segmentation: a class for each pixel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgebll.kernel.errors import ConfigError, DataError
from edgebll.kernel.tasks.class_task import ClassTask
from edgebll.kernel.tasks.classification import Classification, check_classes
from edgebll.kernel.tasks.label_spec import LabelSpec, Shape
from edgebll.kernel.tasks.task import HIGHER, Values


@dataclass(frozen=True)
class Segmentation(ClassTask):
    """One of C classes at each point in space: outputs (C, H, W), or (C, L) and (C, D, H, W).

    Labels are masks of whole numbers (N, H, W), as large as the output.

    Examples:
        >>> from edgebll.kernel.tasks import Segmentation
        >>> Segmentation(ignore_index=255).options()["ignore_index"]
        255
    """

    name: ClassVar[str] = "segmentation"
    summary: ClassVar[str] = "A class for each pixel."
    equation: ClassVar[str] = "-mean over pixels of sum_c w_c y_c log softmax(z)_c"
    metrics: ClassVar[dict[str, str]] = {"mean_iou": HIGHER, "pixel_accuracy": HIGHER}
    per_pixel: ClassVar[bool] = True
    class_axis: ClassVar[int] = 1

    def outputs(self, labels: LabelSpec) -> Shape:
        """(C, H, W)."""
        super().outputs(labels)
        if labels.dtype != "int64" or not labels.shape or not labels.num_classes:
            raise DataError(
                f"{labels.where} has no masks: segmentation takes whole labels (N, H, W), not {labels.shape} a sample"
            )
        return (labels.num_classes, *labels.shape)

    def check_outputs(self, outputs: Shape, num_classes: int | None, input_shape: Shape) -> None:
        """Scores for each class at each point."""
        classes = outputs[0] if num_classes is None and outputs else num_classes
        if not 2 <= len(outputs) <= 4 or outputs[0] != classes:
            raise ConfigError(
                f"the last block of a network for segmentation must return class scores (B, {classes}, height, width), but "
                f"returns ({', '.join(map(str, ('B', *outputs)))})"
            )
        check_classes(outputs[0])
        self.check_weights(outputs[0])

    def targets(self, labels: Values, num_classes: int) -> Values:
        """Masks as (B, C, H, W), one-hot."""
        values: Values = np.ascontiguousarray(np.moveaxis(self.one_hot(labels, num_classes), -1, 1))
        return values

    def at_position(self) -> Classification:
        """The class of one pixel."""
        return Classification(self.class_weights, self.label_smoothing, self.ignore_index)

    def sums(self, output: Values, y: Values, count: int) -> dict[str, float]:
        """For each class: pixels that have it, that were given it, and both; pixels without a label do not count."""
        labelled = y[:count].sum(axis=1) > 0
        true, given = y[:count].argmax(axis=1)[labelled], output[:count].argmax(axis=1)[labelled]
        classes = y.shape[1]
        both = np.bincount(true[true == given], minlength=classes)
        found = super().sums(output, y, count)
        for name, counts in (("true", np.bincount(true, minlength=classes)), ("given", np.bincount(given, minlength=classes))):
            found |= {f"{name}{c}": float(n) for c, n in enumerate(counts)}
        return found | {f"both{c}": float(n) for c, n in enumerate(both)}

    def results(self, sums: Mapping[str, float]) -> dict[str, float]:
        """Intersection over union, the mean over the classes that occur; and the part of pixels that are right."""
        classes = sum(name.startswith("both") for name in sums)
        both, true, given = ([sums[f"{name}{c}"] for c in range(classes)] for name in ("both", "true", "given"))
        unions = [t + g - b for t, g, b in zip(true, given, both, strict=True)]
        shares = [b / u for b, u in zip(both, unions, strict=True) if u > 0]
        own = {"mean_iou": sum(shares) / max(1, len(shares)), "pixel_accuracy": sum(both) / max(1.0, sum(true))}
        zeros = {f"{name}_sum": 0.0 for name in self.metrics}
        return {**super().results({**sums, **zeros}), **own}

    def examples(self, batch_size: int, outputs: Shape, generator: np.random.Generator) -> Values:
        """Random classes for each pixel."""
        drawn = self.example_labels(batch_size, outputs[1:], outputs[0], generator)
        return np.ascontiguousarray(np.moveaxis(drawn, -1, 1))
