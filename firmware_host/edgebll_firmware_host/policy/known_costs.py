"""What is known of costs before it is known which boards are there: with those, it makes the cost model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from edgebll_firmware_host.inventory import BoardEntry
from edgebll_firmware_host.link_entry import LinkEntry
from edgebll_firmware_host.policy.calibration import Calibration
from edgebll_firmware_host.policy.cost_model import QUICK, CostModel, LinkCost
from edgebll_firmware_host.policy.placement_objective import PlacementGoal
from edgebll_firmware_host.policy.step_costs import make_cost_model
from edgebll_firmware_host.policy.workload import Workload


@dataclass(frozen=True)
class KnownCosts:
    """What is known of a bundle and a cluster.

    Attributes:
        work: what the bundle asks.
        links: what the inventory tells of links.
        calibration: what was measured; None for nothing.
        any_link: between machines of which nothing else is told.
        objective: what placements are to be best in.
    """

    work: Workload
    links: tuple[LinkEntry, ...] = ()
    calibration: Calibration | None = None
    any_link: LinkCost = QUICK
    objective: PlacementGoal = field(default_factory=PlacementGoal)

    def model(self, boards: Sequence[BoardEntry]) -> CostModel:
        """Costs on these boards.

        Raises:
            ConfigError: a profile that is unknown or has no number for the board's runtime.
        """
        return make_cost_model(self.work, boards, self.links, self.calibration, self.any_link)
