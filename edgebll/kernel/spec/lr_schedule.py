"""Learning-rate schedules: pure functions of the step, computed by whoever feeds the stream (no torch).

The rate of every step is a scalar input of the training step, so boards need to know no schedule.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.support.bounds import LEARNING_RATE, NOT_NEGATIVE

KINDS = ("constant", "cosine", "step")


@dataclass(frozen=True)
class Schedule:
    """Learning rate by step, after a linear warm-up.

    constant: lr_t = lr;  cosine: lr_t = lr (1 + cos(pi t / T)) / 2;  step: lr_t = lr * decay^(milestones passed), where t
    and T count the steps after the warm-up. During the warm-up of W steps: lr_t = lr (t + 1) / W.

    Attributes:
        lr: peak learning rate, > 0.
        kind: "constant", "cosine" or "step".
        warmup_steps: steps of the linear warm-up, >= 0.
        milestones: fractions of the run, each in (0, 1), at which "step" decays.
        decay: factor of each decay of "step".

    Examples:
        >>> from edgebll.kernel.spec.lr_schedule import Schedule
        >>> schedule = Schedule(lr=0.1, kind="step", warmup_steps=10)
        >>> [round(schedule.rate(step, 110), 3) for step in (0, 9, 10, 60, 100)]
        [0.01, 0.1, 0.1, 0.01, 0.001]
    """

    lr: float
    kind: str = "cosine"
    warmup_steps: int = 0
    milestones: tuple[float, ...] = (0.5, 0.75)
    decay: float = 0.1

    def __post_init__(self) -> None:
        LEARNING_RATE.check("the learning rate", self.lr)
        if self.kind not in KINDS:
            raise ConfigError(f"the schedule must be one of {', '.join(KINDS)}, not {self.kind!r}")
        NOT_NEGATIVE.check("the number of warm-up steps", self.warmup_steps)
        if not all(0 < milestone < 1 for milestone in self.milestones):
            raise ConfigError(f"milestones are fractions of the run between 0 and 1, not {list(self.milestones)}")
        if not (math.isfinite(self.decay) and self.decay > 0):
            raise ConfigError(f"the decay must be a number above 0, not {self.decay}")

    def rate(self, step: int, total_steps: int) -> float:
        """Learning rate of `step` (counted from 0) in a run of `total_steps`."""
        if step < self.warmup_steps:
            return self.lr * (step + 1) / self.warmup_steps
        remaining = max(1, total_steps - self.warmup_steps)
        progress = min(1.0, (step - self.warmup_steps) / remaining)
        if self.kind == "cosine":
            return self.lr * 0.5 * (1.0 + math.cos(math.pi * progress))
        if self.kind == "step":
            return self.lr * self.decay ** sum(progress >= milestone for milestone in self.milestones)
        return self.lr
