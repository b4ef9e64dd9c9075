"""Good placements of many boards that all differ: the best cut for an order of the boards, and orders by exchange of two.

For boards in a given order, each of which may stay idle, the best cut is exact, by dynamic programming over boards and links.
Orders begin with that of the inventory and those by speed; the best of them is made better by exchanging boards as long as that
helps. How far it may be from the best: `least_cost`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from edgebll_firmware_host.policy.placement_objective import PlacementGoal
from edgebll_firmware_host.policy.placement_problem import PlacementProblem
from edgebll_firmware_host.policy.placement_value import placement_value

#: Of boards times runs of blocks, over all orders that are tried: about a second.
_WORK = 40_000_000
_MOST_ORDERS = 600
Cut = list[tuple[int, int, int]]


def best_orders(problem: PlacementProblem, objective: PlacementGoal) -> Cut | None:
    """A good placement, as (kind, i, j) in stream order; None where nothing fits in any order that was tried.

    Args:
        problem: the boards and blocks.
        objective: what to make small; a cut for an order is the best one for boards and links alone.
    """
    kinds = [kind for kind, names in enumerate(problem.kinds) for _ in names]
    by_speed = sorted(kinds, key=lambda kind: _whole_seconds(problem, kind))
    orders = [kinds, by_speed[::-1], *(by_speed[:count] for count in range(1, len(kinds) + 1))]
    cost, cut, order = min(((*_tried(problem, objective, order), order) for order in orders), key=lambda each: each[0])
    left = min(_MOST_ORDERS, int(_WORK / (len(kinds) * (problem.num_blocks + 1) ** 2)))
    better = True
    while better and left > 0:
        better = False
        for one, other in combinations(range(len(order)), 2):
            if order[one] == order[other] or left <= 0:
                continue
            tried = list(order)
            tried[one], tried[other] = tried[other], tried[one]
            left -= 1
            tried_cost, tried_cut = _tried(problem, objective, tried)
            if tried_cost < cost * (1 - 1e-9):
                cost, cut, order, better = tried_cost, tried_cut, tried, True
    return cut if cost < np.inf else None


def _tried(problem: PlacementProblem, objective: PlacementGoal, order: Sequence[int]) -> tuple[float, Cut]:
    cost, cut = best_cut(problem, order)
    return (objective.of(placement_value(problem.model, problem.hosts(cut))) if cost < np.inf else cost), cut


def best_cut(problem: PlacementProblem, order: Sequence[int]) -> tuple[float, Cut]:
    """The best cut of the blocks for boards in this order: what its busiest board or link has to do, and the cut.

    Args:
        problem: the boards and blocks.
        order: the kind of each board.
    """
    n, host = problem.num_blocks, len(problem.kinds)
    least = np.full((len(order) + 1, n + 1), np.inf)  # the last block before j is on this board, in the first row at the host
    least[0, 0] = 0.0
    came: list[tuple[np.ndarray, np.ndarray]] = []
    last = np.array([host, *order])
    for place, kind in enumerate(order):
        arrived = np.maximum(least[: place + 1], problem.carry[last[: place + 1], kind])
        before, at = arrived.argmin(axis=0), arrived.min(axis=0)
        whole = np.maximum(at[:, None], problem.load[kind])
        start = whole.argmin(axis=0)
        least[place + 1] = whole[start, np.arange(n + 1)]
        came.append((before, start))
    place, end, cut = int(least[:, n].argmin()), n, []
    cost = float(least[place, n])
    while place and cost < np.inf:
        before, start = came[place - 1]
        begin = int(start[end])
        cut.append((order[place - 1], begin, end))
        place, end = int(before[begin]), begin
    return cost, cut[::-1]


def least_cost(problem: PlacementProblem, objective: PlacementGoal) -> float:
    """What no placement undercuts, were blocks divisible: all work, by the speed of the fastest boards together.

    A board's speed is that at which it is best beside the fastest board for each block. No more boards are of use than there
    are blocks, and no more than tokens in the window.

    Args:
        problem: the boards and blocks.
        objective: what the cost is of.
    """
    model, names = problem.model, [kind[0] for kind in problem.kinds]
    steps = np.array([[step.seconds for step in model.steps[name]] for name in names])
    fastest = steps.min(axis=0)
    speeds = [float((fastest / steps[kind]).max()) for kind, alike in enumerate(problem.kinds) for _ in alike]
    useful = min(problem.num_blocks, model.work.window) if model.in_seconds else problem.num_blocks
    together = sum(sorted(speeds, reverse=True)[:useful])
    period = max(float(fastest.max()), float(fastest.sum()) / together)
    power = [model.power.get(name) for name in names]
    idle = min(each.idle_w if each is not None else 0.0 for each in power)
    dynamic = np.array([each.dynamic_w if each is not None else 0.0 for each in power])
    return objective.cost(period, float(fastest.sum()), idle, float((steps * dynamic[:, None]).min(axis=0).sum()))


def _whole_seconds(problem: PlacementProblem, kind: int) -> float:
    return sum(step.seconds for step in problem.model.steps[problem.kinds[kind][0]])
