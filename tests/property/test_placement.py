"""Placement: contiguous, complete and as even as can be."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from edgebll_firmware_host.inventory import BoardEntry
from edgebll_firmware_host.policy.block_placement import place

WEIGHTS = st.lists(st.integers(1, 50).map(float), min_size=1, max_size=7)


def boards(count: int) -> list[BoardEntry]:
    return [BoardEntry(f"b{index}", f"tcp://127.0.0.1:{7000 + index}") for index in range(count)]


def best_by_trying_all(weights: list[float], parts: int) -> float:
    """Smallest largest load of all cuts into non-empty contiguous parts."""
    loads = []
    for cuts in itertools.combinations(range(1, len(weights)), parts - 1):
        ends = [0, *cuts, len(weights)]
        loads.append(max(sum(weights[start:end]) for start, end in itertools.pairwise(ends)))
    return min(loads)


@given(weights=WEIGHTS, count=st.integers(1, 9))
def test_the_busiest_board_has_as_little_to_do_as_any_placement_allows(weights: list[float], count: int) -> None:
    names = [f"block{index}" for index in range(len(weights))]
    placed = place(names, weights, boards(count))
    assert [name for hosted in placed.blocks.values() for name in hosted] == names
    assert list(placed.blocks) == [f"b{index}" for index in range(min(count, len(names)))], "boards in order, the rest idle"
    loads = [sum(weights[names.index(name)] for name in hosted) for hosted in placed.blocks.values()]
    assert max(loads) == best_by_trying_all(weights, min(count, len(names)))


@given(data=st.data(), num_blocks=st.integers(1, 6), count=st.integers(1, 4))
def test_pins_are_honoured_whatever_their_order(data: st.DataObject, num_blocks: int, count: int) -> None:
    names = [f"block{index}" for index in range(num_blocks)]
    homes = data.draw(st.lists(st.integers(0, count - 1), min_size=num_blocks, max_size=num_blocks))
    listed = data.draw(st.permutations(range(num_blocks)))
    pinned = [
        BoardEntry(board.name, board.endpoint, blocks=tuple(names[i] for i in listed if homes[i] == index))
        for index, board in enumerate(boards(count))
    ]
    placed = place(names, [1.0] * num_blocks, pinned)
    assert {name: placed.board_of(name) for name in names} == {name: f"b{homes[i]}" for i, name in enumerate(names)}
    for hosted in placed.blocks.values():
        assert list(hosted) == sorted(hosted, key=names.index), "in stream order on every board"
