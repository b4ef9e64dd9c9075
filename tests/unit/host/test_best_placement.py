"""The best placement: what stays, what comes next, and how large a problem is searched to the end."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace

import numpy as np
import pytest

from edgebll.kernel.errors import ConfigError
from edgebll_firmware_host.inventory import BoardEntry
from edgebll_firmware_host.policy import placement_search
from edgebll_firmware_host.policy.best_placement import best_placement
from edgebll_firmware_host.policy.cost_model import CostModel, LinkCost, StepTime
from edgebll_firmware_host.policy.placement_bounds import PlacementBounds
from edgebll_firmware_host.policy.placement_objective import PlacementGoal
from edgebll_firmware_host.policy.placement_problem import PlacementProblem
from edgebll_firmware_host.policy.workload import Workload


def chain(seconds: list[list[float]], *, window: int = 8, **more: object) -> tuple[CostModel, list[BoardEntry]]:
    """Boards b0, b1, ... with these seconds of each block, and quick links."""
    n = len(seconds[0])
    work = Workload(tuple(f"block{index}" for index in range(n)), 1, (1.0,) * n, (100,) * n, window=window)
    steps = {f"b{index}": tuple(StepTime(each) for each in row) for index, row in enumerate(seconds)}
    model = CostModel(work, steps, True, **more)  # type: ignore[arg-type]
    return model, [BoardEntry(name, f"tcp://127.0.0.1:{7000 + index}") for index, name in enumerate(steps)]


def test_the_last_block_goes_where_the_host_hears_of_it_soon() -> None:
    far = LinkCost(latency_s=4.0)
    model, boards = chain([[1.0, 1.0], [1.1, 1.1]], window=1, links={("b0", "host"): far})
    found = best_placement(model, boards)
    assert found is not None
    assert (found.blocks, found.value.period, found.value.limit) == (
        {"b0": ("block0",), "b1": ("block1",)},
        2.1,
        "the window of 1",
    )


def test_the_usual_placement_stays_unless_another_is_better() -> None:
    model, boards = chain([[1.0, 1.0]] * 3, access={"b2": LinkCost(0.001)})
    usual = {"b1": ("block0",), "b0": ("block1",)}
    found = best_placement(model, boards, usual=usual)
    assert found is not None
    assert found.blocks == usual
    worse = best_placement(model, boards, usual={"b1": ("block0", "block1")})
    assert worse is not None
    assert worse.value.period == 1.0


def test_the_next_best_is_another_one() -> None:
    model, boards = chain([[1.0, 2.0, 1.2], [0.5, 0.5, 0.5]])
    found = best_placement(model, boards, runner_up=True)
    assert found is not None
    assert found.runner_up is not None
    assert (found.value.period, found.runner_up.period) == (1.0, 1.2)
    assert found.blocks != found.runner_up_blocks


def differing(boards: int, blocks: int, seed: int = 0) -> tuple[CostModel, list[BoardEntry]]:
    random = np.random.default_rng(seed)
    seconds = random.uniform(0.1, 1, blocks)[None] / random.uniform(0.2, 2, boards)[:, None]
    ends = [*(f"b{index}" for index in range(boards)), "host"]
    links = {pair: LinkCost(0.001, float(random.uniform(1e3, 1e5))) for pair in itertools.permutations(ends, 2)}
    return chain(seconds.tolist(), window=64, links=links)


def test_twelve_boards_are_searched_to_the_end_and_sixteen_soon_enough() -> None:
    started_s = time.process_time()
    found = best_placement(*differing(12, 32))
    assert found is not None
    assert found.gap == 0.0
    model, boards = differing(16, 32)
    assert not PlacementBounds.fits(PlacementProblem.of(model, boards))
    many = best_placement(model, boards)
    assert many is not None
    assert 0 <= many.gap < 0.2
    assert time.process_time() - started_s < 2


def test_where_boards_are_too_many_the_gap_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(5):
        model, boards = differing(5, 8, seed)
        exact = best_placement(model, boards)
        with monkeypatch.context() as patch:
            patch.setattr("edgebll_firmware_host.policy.placement_bounds.MOST_WORK", 0)
            quick = best_placement(model, boards)
        assert exact is not None
        assert quick is not None
        assert (1 - quick.gap) * quick.value.period <= exact.value.period <= quick.value.period


def test_a_search_that_is_cut_short_says_how_far_it_may_be_off(monkeypatch: pytest.MonkeyPatch) -> None:
    model, boards = differing(6, 10)
    model = replace(model, work=replace(model.work, window=2))
    exact = best_placement(model, boards)
    monkeypatch.setattr(placement_search, "MOST_LOOKS", 0)
    short = best_placement(model, boards)
    assert exact is not None
    assert short is not None
    assert short.gap > 0
    assert (1 - short.gap) * short.value.period <= exact.value.period <= short.value.period


def test_of_a_thousand_boards_the_fastest_are_taken() -> None:
    model, boards = chain([[1.0] * 4] * 500 + [[0.5] * 4] + [[1.0] * 4] * 500)
    found = best_placement(model, boards)
    assert found is not None
    assert found.value.period == 1.0
    assert sum(len(blocks) for blocks in found.blocks.values()) == 4


def test_of_very_many_boards_those_behind_slow_links_do_not_hide_the_others() -> None:
    seconds = [[0.9] * 4] * 70 + [[1.0] * 4] * 4
    model, boards = chain(seconds, access={f"b{index}": LinkCost(bytes_per_s=10.0) for index in range(70)})
    found = best_placement(model, boards)
    assert found is not None
    assert (found.value.period, set(found.blocks)) == (1.0, {"b70", "b71", "b72", "b73"})


def test_energy_needs_to_be_known() -> None:
    model, boards = chain([[1.0]], power={})
    with pytest.raises(ConfigError, match="nothing says what board b0 draws, so energy cannot be compared"):
        best_placement(model, boards, objective=PlacementGoal("energy"))
    with pytest.raises(ConfigError, match="the objective must be one of throughput, energy, makespan, not 'speed'"):
        PlacementGoal("speed")
    with pytest.raises(ConfigError, match="nothing says how long a training step takes"):
        best_placement(replace(model, in_seconds=False), boards, objective=PlacementGoal("makespan"))
