"""What the best placement is best in: samples a second, joules a sample, or the time that a number of steps takes."""

from __future__ import annotations

from dataclasses import dataclass

from edgebll.kernel.errors import ConfigError
from edgebll_firmware_host.policy.cost_model import CostModel
from edgebll_firmware_host.policy.placement_value import PlacementValue

#: The longest part decides, the sum of all, or both.
THROUGHPUT, ENERGY, MAKESPAN = "throughput", "energy", "makespan"
OBJECTIVES = (THROUGHPUT, ENERGY, MAKESPAN)


@dataclass(frozen=True)
class PlacementGoal:
    """What to make small.

    Attributes:
        name: one of OBJECTIVES.
        steps: of training, for the makespan.

    Raises:
        ConfigError: there is no such objective.
    """

    name: str = THROUGHPUT
    steps: int = 1

    def __post_init__(self) -> None:
        if self.name not in OBJECTIVES:
            raise ConfigError(f"the objective must be one of {', '.join(OBJECTIVES)}, not {self.name!r}")

    def check(self, model: CostModel) -> None:
        """Refuse an objective for which something is not known.

        Raises:
            ConfigError: nothing says how long steps take, or what a board draws.
        """
        if self.name != THROUGHPUT:
            model.require_seconds()
        for board in model.boards if self.name == ENERGY else ():
            if board not in model.power:
                raise ConfigError(
                    f"nothing says what board {board} draws, so energy cannot be compared; give it a profile in the inventory, "
                    "or calibrate it"
                )

    def cost(self, period: float, path: float, idle_watts: float, dynamic_joules: float) -> float:
        """The number to make small; none of the arguments can grow without it growing or staying."""
        if self.name == THROUGHPUT:
            return period
        if self.name == ENERGY:
            return idle_watts * period + dynamic_joules
        return path + (self.steps - 1) * period

    def of(self, value: PlacementValue) -> float:
        """The number of a whole placement."""
        return self.cost(value.period, value.path, value.idle_watts or 0.0, value.dynamic_joules)
