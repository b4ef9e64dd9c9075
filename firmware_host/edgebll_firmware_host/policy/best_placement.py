"""The best placement of a bundle's blocks on unequal boards: exact where that can be, else good and with its gap to a bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgebll.kernel.spec.edge_check import HOST
from edgebll_firmware_host.inventory import BoardEntry
from edgebll_firmware_host.policy.cost_model import CostModel
from edgebll_firmware_host.policy.memory_fit import Room
from edgebll_firmware_host.policy.placement_bounds import PlacementBounds
from edgebll_firmware_host.policy.placement_objective import THROUGHPUT, PlacementGoal
from edgebll_firmware_host.policy.placement_orders import best_orders, least_cost
from edgebll_firmware_host.policy.placement_problem import PlacementProblem, blocks_of
from edgebll_firmware_host.policy.placement_search import PlacementSearch, Runs
from edgebll_firmware_host.policy.placement_value import PlacementValue, placement_value

#: Of what a placement costs, that another one must save to be worth blocks on other boards than those they would be on.
_WORTH = 1e-6
#: Of more boards than these, or than there are blocks, the fastest are looked at, those that are also reached soonest, and so
#: many with the most memory.
_MANY, _LARGE = 48, 16


@dataclass(frozen=True)
class FoundPlacement:
    """A placement, and how good it is.

    Attributes:
        blocks: board -> its blocks in stream order.
        value: what it gives.
        gap: how much better another one may be at most, relative to this one; 0.0 where it is the best there is. Of very many
            boards, among those that were looked at.
        runner_up: what the next best one gives; None where it was not looked for, or there is none.
        runner_up_blocks: its boards and their blocks.
    """

    blocks: Mapping[str, tuple[str, ...]]
    value: PlacementValue
    gap: float = 0.0
    runner_up: PlacementValue | None = None
    runner_up_blocks: Mapping[str, tuple[str, ...]] | None = None


def best_placement(
    model: CostModel,
    boards: Sequence[BoardEntry],
    room: Room | None = None,
    *,
    objective: PlacementGoal | None = None,
    usual: Mapping[str, tuple[str, ...]] | None = None,
    runner_up: bool = False,
) -> FoundPlacement | None:
    """The best placement, never over a memory limit; None where nothing fits.

    Args:
        model: what steps, links and power cost; with all the boards.
        boards: those that may be used; pins do not count.
        room: what memory they have; None for no check.
        objective: what it is to be best in; by default throughput.
        usual: a placement that stays unless another one is better, if it fits.
        runner_up: also look for the next best one.

    Raises:
        ConfigError: something is not known that the objective needs.
    """
    goal = objective or PlacementGoal(THROUGHPUT)
    goal.check(model)
    problem = PlacementProblem.of(model, _candidates(model, boards, room, usual), room)
    known = _usual_hosts(problem, usual)
    cost = goal.of(placement_value(model, known)) * (1 - _WORTH) if known is not None else np.inf
    hosts, cost = _by_orders(problem, goal, known, cost)
    bound, search, runs = least_cost(problem, goal), None, None
    if PlacementBounds.fits(problem):
        search = PlacementSearch(problem, goal)
        found = search.run(cost)
        runs, bound = found.runs, max(bound, found.bound)
        hosts = problem.hosts(runs) if runs is not None else hosts
    if hosts is None:
        return None
    value = placement_value(model, hosts)
    gap = 1 - bound / goal.of(value)
    gap = gap if gap > 2 * _WORTH else 0.0
    second = _runner_up(problem, search, runs, hosts) if runner_up and search is not None else None
    names = model.work.blocks
    return FoundPlacement(
        blocks_of(names, hosts),
        value,
        gap,
        placement_value(model, second) if second is not None else None,
        blocks_of(names, second) if second is not None else None,
    )


def _candidates(
    model: CostModel, boards: Sequence[BoardEntry], room: Room | None, usual: Mapping[str, tuple[str, ...]] | None
) -> Sequence[BoardEntry]:
    """Of very many boards the fastest, without links and with, those with the most memory, and those that are used anyway."""
    most = max(_MANY, len(model.work.blocks))
    if len(boards) <= most + _LARGE:
        return boards
    seconds = {board.name: sum(step.seconds for step in model.steps[board.name]) for board in boards}
    token = max(model.work.chain_bytes)
    reached = {name: model.carry_seconds(HOST, name, token) for name in seconds}
    fastest = sorted(boards, key=lambda board: seconds[board.name])[:most]
    soonest = sorted(boards, key=lambda board: max(seconds[board.name] / len(model.work.blocks), reached[board.name]))[:most]
    free = room.free if room is not None else {}
    largest = sorted(boards, key=lambda board: -free.get(board.name, 1 << 62))[:_LARGE]
    names = {board.name for board in (*fastest, *soonest, *largest)} | set(usual or ())
    return [board for board in boards if board.name in names]


def _usual_hosts(problem: PlacementProblem, usual: Mapping[str, tuple[str, ...]] | None) -> list[str] | None:
    if usual is None:
        return None
    board = {block: name for name, blocks in usual.items() for block in blocks}
    hosts = [board[block] for block in problem.model.work.blocks]
    return None if problem.problem(hosts) else hosts


def _runner_up(problem: PlacementProblem, search: PlacementSearch, runs: Runs | None, hosts: Sequence[str]) -> list[str] | None:
    """The best of the others; what differs only in which of equal boards it takes is no other."""
    found = search.run(excluded={runs if runs is not None else _runs_of(problem, hosts)})
    return problem.hosts(found.runs) if found.runs is not None and found.bound == found.cost else None


def _runs_of(problem: PlacementProblem, hosts: Sequence[str]) -> Runs:
    kinds = {name: kind for kind, names in enumerate(problem.kinds) for name in names}
    starts = [index for index in range(len(hosts)) if index == 0 or hosts[index] != hosts[index - 1]]
    ends = [*starts[1:], len(hosts)]
    return tuple((kinds[hosts[start]], start, end) for start, end in zip(starts, ends, strict=True))


def _by_orders(
    problem: PlacementProblem, goal: PlacementGoal, known: list[str] | None, cost: float
) -> tuple[list[str] | None, float]:
    """What orders of the boards give, where that is less than `cost`, the cost of what is known; else that."""
    cut = best_orders(problem, goal)
    hosts = problem.hosts(cut) if cut is not None else None
    if hosts is None or problem.problem(hosts):
        return known, cost
    found = goal.of(placement_value(problem.model, hosts))
    return (hosts, found) if found < cost else (known, cost)
