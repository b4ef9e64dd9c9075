"""What a placement gives: seconds from step to step, what limits them, how busy boards are, and what a step draws.

The period is the longest of what no schedule beats: what a board computes in a step; what a link carries; the time a token
takes along the whole chain, shared by the window's tokens; and of each backward stream the way around it, shared by its lag.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgebll.kernel.spec.edge_check import HOST
from edgebll_firmware_host.policy.cost_model import CostModel, LinkCost
from edgebll_firmware_host.policy.workload import SideStream


@dataclass(frozen=True)
class PlacementValue:
    """What a placement gives, in the cost model's unit; of the first blocks alone, at least so much.

    Attributes:
        period: from one training step to the next.
        path: of one token, from the host through all blocks.
        busy: board -> its part of a period that it works.
        limit: what the period is due to, in words, e.g. "board orin-1".
        idle_watts: of all boards with blocks; None where one's power is not known.
        dynamic_joules: of a step, beyond that.
    """

    period: float
    path: float
    busy: Mapping[str, float]
    limit: str
    idle_watts: float | None = None
    dynamic_joules: float = 0.0

    @property
    def joules(self) -> float | None:
        """Energy of a step: idle power for a period, and more while boards work; None where a board's power is not known."""
        return None if self.idle_watts is None else self.idle_watts * self.period + self.dynamic_joules


def placement_value(model: CostModel, hosts: Sequence[str]) -> PlacementValue:
    """What a placement gives.

    Args:
        model: of the cluster and the bundle.
        hosts: the board of each block, in stream order; of the first blocks alone, too.
    """
    way = _Way(model, hosts)
    way.walk()
    limits = [(seconds, f"board {name}") for name, seconds in way.busy.items()]
    limits += [(seconds, f"the link from {one} to {other}") for (one, other), seconds in way.carried.items()]
    limits += way.cycles
    if model.in_seconds:
        back = model.link(hosts[-1], HOST).latency_s if len(hosts) == len(model.work.blocks) else 0.0
        limits += [((way.clock + back) / model.work.window, f"the window of {model.work.window}")]
    period, limit = max(limits, key=lambda each: each[0])
    power = [model.power.get(name) for name in way.busy]
    idle = sum(each.idle_w for each in power if each is not None)
    dynamic = sum(each.dynamic_w * way.busy[name] for name, each in zip(way.busy, power, strict=True) if each is not None)
    known = model.in_seconds and None not in power
    return PlacementValue(period, way.clock, dict(way.busy), limit, idle if known else None, dynamic)


class _Way:
    """A token's way through the blocks, and what it leaves with boards and links."""

    def __init__(self, model: CostModel, hosts: Sequence[str]) -> None:
        self.model, self.hosts = model, hosts
        self.busy: dict[str, float] = defaultdict(float)
        self.carried: dict[tuple[str, str], float] = defaultdict(float)
        self.cycles: list[tuple[float, str]] = []
        self.clock = 0.0
        self._begin: list[float] = []
        self._end: list[float] = []

    def walk(self) -> None:
        """From the first block to the last that has a host."""
        model, sender = self.model, HOST
        into: dict[int, list[SideStream]] = defaultdict(list)
        for side in model.work.sides:
            if max(side.source, side.target) < len(self.hosts):
                into[max(side.source, side.target)].append(side)
        for index, board in enumerate(self.hosts):
            self.clock += self._send(sender, board, model.work.chain_bytes[index])
            forward = [side for side in into[index] if side.source < side.target]
            arrived = [self._end[side.source] + self._send(self.hosts[side.source], board, side.size_bytes) for side in forward]
            self.clock = max(self.clock, *arrived) if arrived else self.clock
            seconds = model.steps[board][index].seconds
            self._begin.append(self.clock)
            self.busy[board] += seconds
            self.clock += seconds
            self._end.append(self.clock)
            for side in into[index]:
                if side.source >= side.target:
                    self._around(side)
            sender = board

    def _around(self, side: SideStream) -> None:
        names = self.model.work.blocks
        back = self._send(self.hosts[side.source], self.hosts[side.target], side.size_bytes)
        around = self._end[side.source] - self._begin[side.target] + back
        self.cycles.append((around / side.lag, f"the stream from {names[side.source]} back to {names[side.target]}"))

    def _send(self, sender: str, receiver: str, size_bytes: int) -> float:
        """A message: what it costs both ends and the links between them, and seconds until it has arrived."""
        if sender == receiver or not self.model.in_seconds:
            return 0.0
        link = self.model.link(sender, receiver)
        self._carry((sender, receiver), link, size_bytes)
        if (sender, receiver) not in self.model.links:
            for ends in ((sender, "others"), ("others", receiver)):
                machine = ends[0] if ends[0] != "others" else ends[1]
                if machine in self.model.access:
                    self._carry(ends, self.model.access[machine], size_bytes)
        for machine in (sender, receiver):
            if machine != HOST and (cost := self.model.message_seconds(machine, size_bytes)):
                self.busy[machine] += cost
        return link.seconds(size_bytes)

    def _carry(self, ends: tuple[str, str], link: LinkCost, size_bytes: int) -> None:
        if busy := link.busy_seconds(size_bytes):
            self.carried[ends] += busy
