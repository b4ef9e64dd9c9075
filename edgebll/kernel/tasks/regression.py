"""Regression: numbers for each sample."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.tasks.task import LOWER, Task, TensorLike, Values

KINDS = ("mse", "mae", "huber")


@dataclass(frozen=True)
class Regression(Task):
    """One or more numbers a sample, outputs (D,) or of any shape. Targets of about unit spread learn best.

    Attributes:
        loss_kind: of the error e = z - y, mean over the outputs: "mse", e^2; "mae", |e|; or "huber", e^2 / 2 up to delta and
            delta (|e| - delta / 2) beyond.
        delta: of "huber".

    Raises:
        ConfigError: another kind, or delta is not above 0.

    Examples:
        >>> from edgebll.kernel.tasks import Regression
        >>> Regression(loss_kind="huber").options()
        {'loss_kind': 'huber', 'delta': 1.0}
    """

    loss_kind: str = "mse"
    delta: float = 1.0

    name: ClassVar[str] = "regression"
    summary: ClassVar[str] = "Numbers for each sample."
    equation: ClassVar[str] = "mean of (z - y)^2"
    metrics: ClassVar[dict[str, str]] = {"rmse": LOWER, "mae": LOWER}

    def __post_init__(self) -> None:
        if self.loss_kind not in KINDS:
            raise ConfigError(f"the loss_kind of {self.name} must be one of {', '.join(KINDS)}, not {self.loss_kind!r}")
        if self.delta <= 0:
            raise ConfigError(f"the delta of {self.name} must be above 0, not {self.delta}")

    def losses(self, output: TensorLike, y: TensorLike) -> TensorLike:
        """Mean over the outputs of each sample, (B,)."""
        error = output - y
        if self.loss_kind == "mse":
            each = error.square()
        elif self.loss_kind == "mae":
            each = error.abs()
        else:
            small = error.clamp(min=-self.delta, max=self.delta)  # of which d |e| - d^2 / 2 is e's own product beyond delta
            each = small * (error - 0.5 * small)
        return each.flatten(1).mean(1)

    def scores(self, output: Values, y: Values) -> dict[str, Values]:
        """Mean squared and mean absolute error by sample."""
        error = (output - y).reshape(len(y), -1)
        return {"square": np.square(error).mean(axis=1), "mae": np.abs(error).mean(axis=1)}

    def results(self, sums: Mapping[str, float]) -> dict[str, float]:
        """The root of the mean squared error, and the mean absolute error."""
        own = math.sqrt(sums["square_sum"] / sums["count"])
        return {**super().results({**sums, "rmse_sum": 0.0}), "rmse": own}
