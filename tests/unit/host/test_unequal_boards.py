"""Unequal boards in a run: placed by their speed at the start, when one is gone, drained or comes back; equal ones as ever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebll_firmware_host.inventory import BoardEntry, Cluster
from edgebll_firmware_host.link_entry import LinkEntry
from edgebll_firmware_host.policy.block_placement import Placement, place, place_among
from edgebll_firmware_host.policy.known_costs import KnownCosts
from edgebll_firmware_host.policy.membership import Membership
from edgebll_firmware_host.policy.memory_fit import Room
from edgebll_firmware_host.policy.memory_need import BOARD_BYTES, Needs
from edgebll_firmware_host.policy.workload import Workload


def boards(*speeds: float, **more: object) -> list[BoardEntry]:
    return [BoardEntry(f"b{i}", f"tcp://127.0.0.1:{7000 + i}", speed=speed, **more) for i, speed in enumerate(speeds)]  # type: ignore[arg-type]


def work(seconds: Sequence[float], *, timed: bool = True) -> Workload:
    found = Workload(tuple(f"block{i}" for i in range(len(seconds))), 32, tuple(seconds), (1000,) * len(seconds))
    return found.timed(seconds) if timed else found


def placed(
    entries: list[BoardEntry], costs: KnownCosts, there: Sequence[str] | None = None, room: Room | None = None
) -> Placement:
    names = [entry.name for entry in entries] if there is None else there
    return place_among(list(costs.work.blocks), list(costs.work.weights), entries, names, room, costs)


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=8), st.integers(1, 6), st.booleans())
def test_equal_boards_are_placed_as_ever(seconds: list[float], count: int, timed: bool) -> None:
    entries, costs = boards(*[1.0] * count), KnownCosts(work(seconds, timed=timed))
    assert placed(entries, costs) == place(costs.work.blocks, seconds, entries)


@pytest.mark.parametrize("timed", [True, False])
def test_a_board_at_a_fifth_gets_what_the_best_pinned_cut_gives_it(timed: bool) -> None:
    seconds = [0.02, 0.01, 0.015, 0.012, 0.008, 0.02, 0.011, 0.009]
    entries, costs = boards(1.0, 0.2), KnownCosts(work(seconds, timed=timed))

    def period(loads: Sequence[Sequence[float]]) -> float:
        return max(sum(loads[0]), sum(loads[1]) / 0.2)

    hosted = placed(entries, costs).blocks
    mine = period([[seconds[int(block[5:])] for block in hosted.get(name, ())] for name in ("b0", "b1")])
    first = min(period([seconds[:cut], seconds[cut:]]) for cut in range(9))
    second = min(period([seconds[cut:], seconds[:cut]]) for cut in range(9))
    assert mine == pytest.approx(min(first, second))
    usual = place(costs.work.blocks, seconds, entries).blocks
    assert mine < 0.5 * period([[seconds[int(block[5:])] for block in usual[name]] for name in ("b0", "b1")])


def test_when_a_board_is_gone_the_others_are_weighed_anew() -> None:
    entries, costs = boards(1.0, 0.5, 0.25), KnownCosts(work([1.0] * 7))
    sizes = {name: len(blocks) for name, blocks in placed(entries, costs).blocks.items()}
    assert sizes == {"b0": 4, "b1": 2, "b2": 1}
    for there in combinations(["b0", "b1", "b2"], 2):
        one, other = (len(placed(entries, costs, there).blocks.get(name, ())) for name in there)
        assert one + other == 7
        assert one > other


def test_a_slow_link_keeps_blocks_together() -> None:
    costs = KnownCosts(work([0.01, 0.01]), (LinkEntry(("b0", "b1"), "80kbit"),))
    assert len(placed(boards(1.0, 1.0), costs).blocks) == 1  # a token takes 0.1 s
    assert len(placed(boards(1.0, 1.0), replace(costs, links=(LinkEntry(("b0", "b1"), "80Mbit"),))).blocks) == 2
    assert len(placed(boards(1.0, 1.0), replace(costs, work=work([1.0, 1.0], timed=False))).blocks) == 2  # no seconds


def test_memory_limits_come_first_and_pins_stay() -> None:
    costs = KnownCosts(work([1.0, 1.0, 1.0]))
    nothing = dict.fromkeys(costs.work.blocks, 0)
    room = Room(Needs(dict.fromkeys(costs.work.blocks, 100), nothing, nothing), {"b0": BOARD_BYTES + 150})
    assert len(placed(boards(10.0, 1.0), costs, room=room).blocks["b0"]) == 1
    fast, slow = boards(1.0, 0.1)
    pinned = [replace(fast, blocks=("block0",)), replace(slow, blocks=("block1", "block2"))]
    assert placed(pinned, costs).blocks == {"b0": ("block0",), "b1": ("block1", "block2")}


def test_a_board_that_comes_back_is_as_fast_as_it_was() -> None:
    entries, members = boards(1.0, 0.2, profile="orin-nano", power_mode="15W"), Membership()
    members.add(BoardEntry("b1", "tcp://127.0.0.1:9"), Cluster(tuple(entries)))
    back = members.added["b1"]
    assert (back.speed, back.profile, back.power_mode, back.endpoint) == (0.2, "orin-nano", "15W", "tcp://127.0.0.1:9")
