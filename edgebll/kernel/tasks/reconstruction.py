"""Reconstruction: a network gives its own input back through a narrow place, as autoencoders do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.tasks.label_spec import LabelSpec, Shape
from edgebll.kernel.tasks.regression import Regression
from edgebll.kernel.tasks.task import Values


@dataclass(frozen=True)
class Reconstruction(Regression):
    """The target is the sample: outputs of the input's shape. What is unlike all it has seen comes back badly.

    Labels are not needed, and not looked at. Options are those of regression.

    Examples:
        >>> from edgebll.kernel.tasks import Reconstruction
        >>> Reconstruction(loss_kind="mae").of_input
        True
    """

    name: ClassVar[str] = "reconstruction"
    summary: ClassVar[str] = "The sample itself, through a narrow place; an error that is large tells an anomaly."
    equation: ClassVar[str] = "mean of (z - x)^2"
    of_input: ClassVar[bool] = True

    def outputs(self, labels: LabelSpec) -> Shape:
        """The input's shape."""
        return labels.input_shape

    def check_outputs(self, outputs: Shape, num_classes: int | None, input_shape: Shape) -> None:
        """The input's shape."""
        if outputs != input_shape:
            raise ConfigError(
                f"a network for reconstruction must return samples as they came, {input_shape}, but the last block returns "
                f"{outputs}"
            )

    def check_labels(self, labels: Values, where: str, num_classes: int) -> None:
        """Nothing to check."""
