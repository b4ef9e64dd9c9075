"""Placements by memory: nothing that does not fit, and what fits is found and as even as it can be."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fake_board import welcome

from edgebll.kernel.microcontroller.block_memory import BlockMemory
from edgebll.kernel.microcontroller.block_plan import RecomputeLevel
from edgebll_firmware_host.inventory import BoardEntry
from edgebll_firmware_host.policy.block_placement import place, place_among
from edgebll_firmware_host.policy.memory_fit import Room, place_in_room
from edgebll_firmware_host.policy.memory_need import BOARD_BYTES, Needs

MIB = 1 << 20


def boards(count: int, **more: object) -> list[BoardEntry]:
    return [BoardEntry(name, f"tcp://127.0.0.1:{7000 + i}", **more) for i, name in enumerate("abcdefgh"[:count])]  # type: ignore[arg-type]


def room(sizes: Sequence[int], free: Mapping[str, int], **more: object) -> Room:
    """Blocks of so many MiB, and boards with so many MiB for them."""
    names = [f"block{i}" for i in range(len(sizes))]
    blocks = {name: size * MIB for name, size in zip(names, sizes, strict=True)}
    needs = Needs(blocks, dict.fromkeys(names, 0), dict.fromkeys(names, 0))
    return Room(needs, {name: mib * MIB + BOARD_BYTES for name, mib in free.items()}, **more)  # type: ignore[arg-type]


def blocks(count: int) -> list[str]:
    return [f"block{i}" for i in range(count)]


def test_where_all_fits_nothing_changes() -> None:
    free = room([10, 10, 10], {"a": 100, "b": 100})
    placed = place_among(blocks(3), [1.0, 1.0, 1.0], boards(2), "ab", free)
    assert placed == place(blocks(3), [1.0, 1.0, 1.0], boards(2))


def test_a_large_block_goes_where_it_fits() -> None:
    free = room([200, 10], {"a": 100, "b": 300})
    assert place_among(blocks(2), [1.0, 1.0], boards(2), "ab", free).blocks == {"b": ("block0",), "a": ("block1",)}


def test_a_board_that_does_not_say_is_not_limited() -> None:
    free = room([200, 10], {"a": 100})
    assert place_among(blocks(2), [1.0, 1.0], boards(2), "ab", free).board_of("block0") == "b"


def test_pinned_blocks_stay_and_are_refused_by_name() -> None:
    pinned = [
        BoardEntry("a", "tcp://127.0.0.1:1", blocks=("block0",)),
        BoardEntry("b", "tcp://127.0.0.1:2", blocks=("block1",)),
    ]
    free = room([503, 10], {"a": 288, "b": 1000}, limited_by={"a": "the control group /a"})
    placed = place_among(blocks(2), [1.0, 1.0], pinned, "ab", free)
    assert placed.board_of("block0") == "a"
    assert free.problem(placed.blocks, pinned) == (
        "board a has 300 MiB by the control group /a, but block0 needs about 515 MiB there; give it more memory, use more "
        "boards or smaller batches, or set memory_mib in its entry if you know better"
    )


def test_boards_that_share_memory_are_counted_together() -> None:
    free = room([80, 80], {"a": 100, "b": 100}, pools={"a": "m", "b": "m"})
    problem = free.problem({"a": ("block0",), "b": ("block1",)}, boards(2))
    assert problem.startswith("the boards a, b share 112 MiB of memory, but their blocks need about 184 MiB")
    apart = room([80, 80], {"a": 100, "b": 100}, pools={"a": "m", "b": "n"})
    assert apart.problem({"a": ("block0",), "b": ("block1",)}, boards(2)) == ""


def test_a_board_never_gets_what_it_was_killed_with() -> None:
    killed = {"a": [frozenset({"block0"})]}
    free = room([300, 1, 1], {}, starved=killed)
    placed = place_among(blocks(3), [1.0] * 3, boards(3), "abc", free).blocks
    assert "block0" not in placed["a"]
    (only,) = place_among(blocks(3), [1.0] * 3, boards(1), "a", free).blocks.values()
    assert only == tuple(blocks(3)), "there is no other"
    assert "board a was killed with block0, probably for want of memory" in free.problem({"a": only}, boards(1))
    pinned = [BoardEntry("a", "tcp://127.0.0.1:1", blocks=tuple(blocks(3))), *boards(2)[1:]]
    assert place_among(blocks(3), [1.0] * 3, pinned, "ab", free).board_of("block0") == "b", "a pin does not count then"


def test_nor_what_needs_hardly_less() -> None:
    free = room([300, 40, 40, 250], {}, starved={"a": [frozenset({"block0", "block1"})]})
    a = boards(1)[0]
    assert [free.holds(a, (f"block{i}",)) for i in range(4)] == [False, True, True, True]
    assert not free.holds(a, ("block2", "block3"))
    assert free.holds(a, ())


def test_other_runtimes_need_their_state_alone() -> None:
    names = blocks(1)
    free = Room(Needs({"block0": 500 * MIB}, {"block0": 50 * MIB}, {"block0": 0}), {"a": 100 * MIB})
    assert free.problem({"a": tuple(names)}, boards(1)) != ""
    assert free.problem({"a": tuple(names)}, boards(1, runtime="tensorrt")) == ""


SIZES = st.lists(st.integers(1, 20), min_size=1, max_size=5)


@given(sizes=SIZES, frees=st.lists(st.integers(0, 40), min_size=1, max_size=3), data=st.data())
def test_all_that_is_found_fits_and_whatever_fits_is_found(sizes: list[int], frees: list[int], data: st.DataObject) -> None:
    weights = [float(w) for w in data.draw(st.lists(st.integers(1, 9), min_size=len(sizes), max_size=len(sizes)))]
    entries = boards(len(frees))
    free = room(sizes, dict(zip("abc", frees, strict=False)))
    found = place_in_room(blocks(len(sizes)), weights, entries, free)
    best = _best_by_trying_all(sizes, weights, frees)
    assert (found is None) == (best is None)
    if found is not None and best is not None:
        assert free.problem(found, entries) == ""
        assert sorted(block for hosted in found.values() for block in hosted) == blocks(len(sizes))
        load = max(sum(weights[int(block[5:])] for block in hosted) for hosted in found.values())
        assert load == pytest.approx(best, abs=1e-6)


def _best_by_trying_all(sizes: list[int], weights: list[float], frees: list[int]) -> float | None:
    """The least largest load of all contiguous placements that fit."""
    best = None
    for order in itertools.permutations(frees):
        for cuts in itertools.combinations_with_replacement(range(len(sizes) + 1), len(frees) - 1):
            ends = [0, *cuts, len(sizes)]
            parts = list(itertools.pairwise(ends))
            if all(sum(sizes[start:end]) <= most for (start, end), most in zip(parts, order, strict=True)):
                load = max(sum(weights[start:end]) for start, end in parts)
                best = load if best is None else min(best, load)
    return best


def integer_room(versions: Mapping[str, int]) -> Room:
    """block0 computes in float32 and block1 with integers; `versions` of the plans that microcontrollers run."""
    level = RecomputeLevel(2048, 4096, 1000)
    sizes = (1024, 2048, 2048, 1024, 4096)
    planned = {name: BlockMemory(name, *sizes, "", (level,), 0, version) for name, version in PLAN_VERSIONS.items()}
    needs = Needs(dict.fromkeys(planned, 0), dict.fromkeys(planned, 0), dict.fromkeys(planned, 0), lambda: planned)
    return Room(needs, plan_versions=versions)


PLAN_VERSIONS = {"block0": 1, "block1": 2}


def test_blocks_in_int8_go_where_the_firmware_runs_them() -> None:
    serial = boards(2, runtime="serial")
    for with_int8, without in ("ab", "ba"):
        placed = place_among(blocks(2), [1.0, 1.0], serial, "ab", integer_room({with_int8: 2, without: 1}))
        assert placed.blocks == {without: ("block0",), with_int8: ("block1",)}
    nowhere = integer_room({"a": 1, "b": 1})
    placed = place_among(blocks(2), [1.0, 1.0], serial, "ab", nowhere)
    assert nowhere.problem(placed.blocks, serial) == (
        "the firmware of board b's microcontroller runs plans of float32 alone, and block1 computes in int8; build it again "
        "and flash it: edgebll firmware build --int8"
    )


def test_what_a_board_says_of_its_plans_is_taken() -> None:
    entry, needs = boards(1, runtime="serial")[0], integer_room({}).needs
    for plans, memory, found in (({}, 64, {"a": 1}), ({"/dev/ttyACM0": 2}, 64, {"a": 2}), ({}, 0, {})):
        said = replace(welcome(), microcontrollers={"/dev/ttyACM0": memory << 10}, microcontroller_plans=plans)
        assert Room.told(needs, [(entry, said)]).plan_versions == found
        assert Room.told(needs, [(replace(entry, port="/dev/ttyACM0"), said)]).plan_versions == found
        assert Room.told(needs, [(replace(entry, runtime="onnxruntime"), said)]).plan_versions == {}
