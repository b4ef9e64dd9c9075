"""What `edgebll plan` knows of memory: what blocks need, and what the boards of an inventory say they have."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import EdgebllError

if TYPE_CHECKING:
    from edgebll_firmware_host.inventory import Cluster
    from edgebll_firmware_host.policy.cost_model import CostModel
    from edgebll_firmware_host.policy.memory_fit import Room

#: How long boards may take to answer, in seconds; a plan can be made without them.
_ASK_S = 2.0


def plan_room(bundle: Bundle, cluster: Cluster | None) -> Room:
    """Needs of a bundle's blocks, and the memory of boards that answer at once; the others are taken to have enough.

    Args:
        bundle: to be placed.
        cluster: the boards; None for equal boards that need not exist.

    Raises:
        BundleError: a graph is missing or damaged.
    """
    from edgebll_firmware_host.fleet.probe import probe_all
    from edgebll_firmware_host.inventory import HostEntry
    from edgebll_firmware_host.policy.memory_fit import Room
    from edgebll_firmware_host.policy.memory_need import needs

    if cluster is None:
        return Room(needs(bundle, HostEntry().window))
    asked = replace(cluster, host=replace(cluster.host, deadline_s=min(_ASK_S, cluster.host.deadline_s)))
    answers = zip(cluster.boards, probe_all(asked), strict=True)
    said = [(entry, answer) for entry, answer in answers if not isinstance(answer, EdgebllError)]
    return Room.told(needs(bundle, cluster.host.window), said)


def roomy(room: Room, model: CostModel) -> Room:
    """The same, with what inventory and profiles say of boards that did not answer.

    Args:
        room: of the boards that did.
        model: of all boards.
    """
    return replace(room, free={**model.memory_bytes, **room.free})
