"""The best placement by best-first search (A*): partial placements are gone on with in the order of what they can lead to.

A partial placement covers the first blocks. What it can lead to at best is bounded by what it has cost, and by what the rest
costs at least (`PlacementBounds`). So the first whole placement that no other's bound undercuts is the best there is.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from edgebll_firmware_host.policy.placement_bounds import PlacementBounds
from edgebll_firmware_host.policy.placement_objective import ENERGY, PlacementGoal
from edgebll_firmware_host.policy.placement_problem import Floats, PlacementProblem
from edgebll_firmware_host.policy.placement_value import placement_value

Runs = tuple[tuple[int, int, int], ...]
#: Partial placements to look at; where these are not enough, the best so far is told with its gap to the bound. One that is
#: walked through for its side streams counts as several.
MOST_LOOKS, _LOOKS_A_WALK = 60_000, 15
_EQUAL = 1e-12


@dataclass(frozen=True)
class Searched:
    """What a search found.

    Attributes:
        runs: (kind, i, j) of the best placement; None where none was found that beats the one known before.
        cost: by the objective; infinite where nothing fits.
        bound: no placement costs less; the cost itself where the search came to its end.
    """

    runs: Runs | None
    cost: float
    bound: float


@dataclass(frozen=True)
class _Partial:
    runs: Runs
    left: tuple[int, ...]
    last: int
    end: int
    period: float = 0.0
    path: float = 0.0
    idle: float = 0.0
    dynamic: float = 0.0


class PlacementSearch:
    """A search for one problem and objective.

    Args:
        problem: the boards and blocks.
        objective: what to make small.
    """

    def __init__(self, problem: PlacementProblem, objective: PlacementGoal) -> None:
        self._problem, self._objective = problem, objective
        self._bounds = PlacementBounds(problem)
        model, names = problem.model, [kind[0] for kind in problem.kinds]
        steps = np.array([[step.seconds for step in model.steps[name]] for name in names])
        self._before = np.concatenate([np.zeros((len(names), 1)), np.cumsum(steps, axis=1)], axis=1)
        power = [model.power.get(name) for name in names]
        self._idle = [each.idle_w if each else 0.0 for each in power]
        self._dynamic = [each.dynamic_w if each else 0.0 for each in power]
        self._path_left = _least_left(steps)
        self._joules_left = _least_left(steps * np.array(self._dynamic)[:, None])
        self._keep_all = False  # also those that are no better than others: these may not count in the end
        self._whole = bool(model.work.sides)  # a token's way is not the sum of its parts then

    def run(self, known: float = float("inf"), excluded: Collection[Runs] = ()) -> Searched:
        """The best placement that costs less than what is known.

        Args:
            known: cost of a placement that there is already.
            excluded: placements that do not count.
        """
        problem, tie = self._problem, count()
        self._keep_all = bool(excluded) or (problem.room is not None and bool(problem.room.pools))
        counts = tuple(len(names) for names in problem.kinds)
        first = _Partial((), counts, len(counts), 0)
        heap = [(self._bound(first), 0, next(tie), first)]
        best: Runs | None = None
        beaten: dict[tuple[object, ...], list[tuple[float, ...]]] = {}
        cost, looks = known, 0
        while heap:
            bound, _, _, partial = heapq.heappop(heap)
            if bound >= cost * (1 - _EQUAL):
                return Searched(best, cost, cost)
            if looks > MOST_LOOKS:
                return Searched(best, cost, bound)
            for after in self._next(partial):
                looks += 1
                bound = self._bound(after)
                if self._whole and bound < cost * (1 - _EQUAL):
                    looks, after = looks + _LOOKS_A_WALK, self._walked(after)
                    bound = self._bound(after)
                if bound >= cost * (1 - _EQUAL) or self._is_beaten(after, beaten):
                    continue
                if after.end < problem.num_blocks:
                    heapq.heappush(heap, (bound, -after.end, next(tie), after))
                elif after.runs not in excluded and not problem.problem(problem.hosts(after.runs)):
                    best, cost = after.runs, bound
        return Searched(best, cost, cost)

    def _next(self, partial: _Partial) -> Iterator[_Partial]:
        """With one more board: the longest runs first."""
        problem, start = self._problem, partial.end
        for kind, left in enumerate(partial.left):
            if not left:
                continue
            for end in range(problem.num_blocks, start, -1):
                if problem.load[kind, start, end] < np.inf:
                    yield self._with(partial, kind, end)

    def _with(self, partial: _Partial, kind: int, end: int) -> _Partial:
        problem, start = self._problem, partial.end
        runs = (*partial.runs, (kind, start, end))
        left = (*partial.left[:kind], partial.left[kind] - 1, *partial.left[kind + 1 :])
        idle = partial.idle + self._idle[kind]
        load = float(problem.load[kind, start, end])
        carry, delay = problem.carry[partial.last, kind, start], problem.delay[partial.last, kind, start]
        return _Partial(
            runs,
            left,
            kind,
            end,
            max(partial.period, load, float(carry)),
            partial.path + float(delay) + float(self._before[kind, end] - self._before[kind, start]),
            idle,
            partial.dynamic + self._dynamic[kind] * load,
        )

    def _walked(self, partial: _Partial) -> _Partial:
        """The same with side streams."""
        value = placement_value(self._problem.model, self._problem.hosts(partial.runs))
        period, path = max(value.period, partial.period), max(value.path, partial.path)
        return replace(partial, period=period, path=path, dynamic=value.dynamic_joules)

    def _is_beaten(self, partial: _Partial, seen: dict[tuple[object, ...], list[tuple[float, ...]]]) -> bool:
        """Whether one with the same boards left and the same blocks to come is as good in all; else it is taken down."""
        if self._whole or self._keep_all:
            return False
        costs = (partial.period, partial.path, partial.idle, partial.dynamic)
        others = seen.setdefault((partial.left, partial.last, partial.end), [])
        if any(all(theirs <= mine for theirs, mine in zip(other, costs, strict=True)) for other in others):
            return True
        others.append(costs)
        return False

    def _bound(self, partial: _Partial) -> float:
        """The least that a partial placement can lead to; of a whole one, its cost."""
        problem = self._problem
        path = partial.path + self._path_left[partial.end]
        period = max(partial.period, float(self._bounds.least[self._bounds.state(partial.left), partial.last, partial.end]))
        if period < np.inf and problem.model.in_seconds:
            back = float(problem.back[partial.last]) if partial.end == problem.num_blocks else 0.0
            period = max(period, (path + back) / problem.model.work.window)
        if period == np.inf:
            return period
        return self._objective.cost(period, path, self._least_idle(partial), partial.dynamic + self._joules_left[partial.end])

    def _least_idle(self, partial: _Partial) -> float:
        """Of the boards so far, and one at least."""
        return partial.idle if partial.runs or self._objective.name != ENERGY else min(self._idle)


def _least_left(costs: Floats) -> Sequence[float]:
    """For each block, the least that it and those after it cost, each on the board that is cheapest for it."""
    least = costs.min(axis=0)
    return [*np.cumsum(least[::-1])[::-1].tolist(), 0.0]
