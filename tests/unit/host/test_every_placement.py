"""The best placement against all there are, tried one by one and judged by formulas written out here."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebll_firmware_host.inventory import BoardEntry
from edgebll_firmware_host.policy.best_placement import best_placement
from edgebll_firmware_host.policy.cost_model import BoardPower, CostModel, LinkCost, MessageCost, StepTime
from edgebll_firmware_host.policy.memory_fit import Room
from edgebll_firmware_host.policy.memory_need import BOARD_BYTES, Needs
from edgebll_firmware_host.policy.placement_objective import OBJECTIVES, PlacementGoal
from edgebll_firmware_host.policy.workload import SideStream, Workload

STEPS = 7


@dataclass(frozen=True)
class Case:
    """Random costs: seconds[board][block], links[sender][receiver] with the host last, sizes, memory and power."""

    seconds: list[list[float]]
    sizes: list[int]
    links: list[list[tuple[float, float]]]
    window: int
    sides: list[tuple[int, int, int, int]]
    need: list[int]
    free: list[int]
    power: list[tuple[float, float]]
    message_s: float

    @property
    def blocks(self) -> list[str]:
        return [f"block{index}" for index in range(len(self.sizes))]

    @property
    def names(self) -> list[str]:
        return [f"b{index}" for index in range(len(self.seconds))]

    def model(self) -> CostModel:
        ends = [*self.names, "host"]
        pairs = itertools.permutations(range(len(ends)), 2)
        work = Workload(
            tuple(self.blocks),
            1,
            (1.0,) * len(self.sizes),
            tuple(self.sizes),
            tuple(SideStream(*each) for each in self.sides),
            self.window,
        )
        return CostModel(
            work,
            {name: tuple(StepTime(each) for each in row) for name, row in zip(self.names, self.seconds, strict=True)},
            in_seconds=True,
            links={(ends[a], ends[b]): LinkCost(*self.links[a][b]) for a, b in pairs},
            messages={name: MessageCost(self.message_s) for name in self.names},
            power={name: BoardPower(*each) for name, each in zip(self.names, self.power, strict=True)},
        )

    def entries(self) -> list[BoardEntry]:
        return [BoardEntry(name, f"tcp://127.0.0.1:{7000 + index}") for index, name in enumerate(self.names)]

    def room(self) -> Room:
        nothing = dict.fromkeys(self.blocks, 0)
        needs = Needs(dict(zip(self.blocks, self.need, strict=True)), nothing, nothing)
        return Room(needs, {name: BOARD_BYTES + size for name, size in zip(self.names, self.free, strict=True)})

    def cost(self, hosts: tuple[int, ...], objective: str) -> float:
        """Of blocks on these boards, infinite where they do not fit."""
        host, n = len(self.seconds), len(self.sizes)
        for board in set(hosts):
            if sum(self.need[index] for index in range(n) if hosts[index] == board) > self.free[board]:
                return math.inf
        work = dict.fromkeys(hosts, 0.0)
        wire: dict[tuple[int, int], float] = {}
        messages = [(hosts[i - 1] if i else host, hosts[i], self.sizes[i]) for i in range(n)]
        messages += [(hosts[a], hosts[b], size) for a, b, size, _ in self.sides]
        for a, b, size in messages:
            if a != b:
                wire[a, b] = wire.get((a, b), 0.0) + size / self.links[a][b][1]
                for end in {a, b} - {host}:
                    work[end] += self.message_s
        begin, done, now = [0.0] * n, [0.0] * n, 0.0
        for i in range(n):
            now += self._carry(hosts[i - 1] if i else host, hosts[i], self.sizes[i])
            for a, b, size, _ in self.sides:
                if b == i and a < b:
                    now = max(now, done[a] + self._carry(hosts[a], hosts[b], size))
            begin[i] = now
            now += self.seconds[hosts[i]][i]
            done[i] = now
            work[hosts[i]] += self.seconds[hosts[i]][i]
        around = [(done[a] - begin[b] + self._carry(hosts[a], hosts[b], s)) / lag for a, b, s, lag in self.sides if a >= b]
        whole = (now + self.links[hosts[-1]][host][0]) / self.window
        period = max(*work.values(), *wire.values(), *around, whole, 0.0)
        if objective == "energy":
            return sum(self.power[b][0] * period + self.power[b][1] * busy for b, busy in work.items())
        return period if objective == "throughput" else now + (STEPS - 1) * period

    def _carry(self, a: int, b: int, size: int) -> float:
        return 0.0 if a == b else self.links[a][b][0] + size / self.links[a][b][1]

    def all_hosts(self) -> Iterator[tuple[int, ...]]:
        """All contiguous placements: every order of every number of boards, cut everywhere."""
        n = len(self.sizes)
        for used in range(1, min(n, len(self.seconds)) + 1):
            for boards in itertools.permutations(range(len(self.seconds)), used):
                for cuts in itertools.combinations(range(1, n), used - 1):
                    ends = [0, *cuts, n]
                    yield tuple(
                        board for board, (a, b) in zip(boards, itertools.pairwise(ends), strict=True) for _ in range(a, b)
                    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    boards, n = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    alike, slow, sides, tight = (draw(st.booleans()) for _ in range(4))
    speed = random.choice([1.0, 1.0, 0.5], boards) if alike else random.uniform(0.2, 2, boards)
    seconds = (random.uniform(0.1, 1, n)[None] / speed[:, None]).tolist()
    rates = random.choice([100.0, 1e6] if slow else [1e9], (boards + 1, boards + 1))
    links = [[(float(random.choice([0.0, 0.3 * slow])), float(rate)) for rate in row] for row in rates]
    found = [(int(a), int(b), 10, int(lag)) for a, b, lag in random.integers(0, [n, n, 3], (2, 3))] if sides else []
    return Case(
        seconds,
        [int(size) for size in random.integers(1, 200, n)],
        links,
        draw(st.integers(1, 8)),
        [(a, b, size, lag if a < b else lag + 1) for a, b, size, lag in found if b - a != 1],
        [int(size) for size in random.integers(1, 10, n)],
        [int(size) for size in random.integers(4, 20, boards)] if tight else [1000] * boards,
        [(float(idle), float(more)) for idle, more in random.uniform(0, 5, (boards, 2))],
        float(random.choice([0.0, 0.05])),
    )


@settings(max_examples=500)
@given(cases(), st.sampled_from(OBJECTIVES))
def test_nothing_is_better_and_all_fits(case: Case, objective: str) -> None:
    best = min(case.cost(hosts, objective) for hosts in case.all_hosts())
    found = best_placement(case.model(), case.entries(), case.room(), objective=PlacementGoal(objective, STEPS))
    assert (found is None) == (best == math.inf)
    if found is not None:
        names = {block: case.names.index(name) for name, blocks in found.blocks.items() for block in blocks}
        mine = case.cost(tuple(names[block] for block in case.blocks), objective)
        assert mine == pytest.approx(best, rel=1e-9)
        assert found.gap == 0.0
        assert PlacementGoal(objective, STEPS).of(found.value) == pytest.approx(best, rel=1e-9)
