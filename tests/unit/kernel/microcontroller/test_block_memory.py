"""What blocks take of a microcontroller: sizes as people write them, sums, and which block does not fit for what reason."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from edgebll.kernel.bundle import open_bundle
from edgebll.kernel.errors import ExportError
from edgebll.kernel.microcontroller.block_memory import (
    FIRMWARE_FLASH_BYTES,
    FIRMWARE_RAM_BYTES,
    BlockMemory,
    MicrocontrollerLimits,
    block_memories,
    shared_pool_bytes,
)
from edgebll.kernel.microcontroller.block_plan import RecomputeLevel
from edgebll.kernel.support.bounds import WrongValue
from edgebll.kernel.support.memory_sizes import memory_bytes
from edgebll.learning import SGD, make_rule
from edgebll.learning.networks import BlockNetwork
from edgebll_export import export_bundle, make_target

SAID = (
    r"block0 takes \d+\.\d KiB of RAM \(.*\), and there are 20\.0 KiB; most is alive in its training step, which holds \d+ "
    r"values then, the largest \S*16x16; take a smaller batch than 4, more blocks, a "
    r"narrower network or an optimiser with fewer moments"
)
FULLEST = "training step, which holds 3 values then, the largest 1x8x16x16"
SIZES = ((50960, 64000, 2000), (40960, 54272, 2050), (36864, 50300, 2200))
LEVELS = tuple(RecomputeLevel(*sizes) for sizes in SIZES)
MEMORY = BlockMemory("block1", 10240, 40960, 40000, 3072, 54272, FULLEST, LEVELS, 1)


@pytest.mark.parametrize(
    ("written", "count"),
    [("128k", 131072), ("128 KiB", 131072), ("1M", 1 << 20), ("0.5m", 1 << 19), ("65536", 65536), (4096, 4096), ("3kB", 3072)],
)
def test_sizes(written: str | int, count: int) -> None:
    assert memory_bytes("ram", written) == count


@pytest.mark.parametrize("written", ["", "k", "-1k", "128x", "1e3", "0", "0k", 0, -5, "4096M", "9" * 40, "nan", "12k 3"])
def test_what_is_no_size_is_refused(written: str | int) -> None:
    with pytest.raises(WrongValue, match=r"^ram must be "):
        memory_bytes("ram", written)


def test_a_block_that_does_not_fit_is_named_with_what_takes_most() -> None:
    fits, full = MicrocontrollerLimits.of("65k", "29k"), MicrocontrollerLimits.of("64k", None)
    parts = "state 10.0 KiB, plans 3.0 KiB, arena 40.0 KiB, firmware 12.0 KiB"
    assert MEMORY.ram_bytes == 54272 + FIRMWARE_RAM_BYTES == 65 * 1024
    assert fits.problem([MEMORY]) is None
    assert MicrocontrollerLimits().problem([MEMORY]) is None
    small = replace(MEMORY, block="block0", pool_bytes=1024)
    assert full.problem([small, MEMORY]) == (
        f"block1 takes 65.0 KiB of RAM ({parts}), and there are 64.0 KiB; "
        "most is alive in its training step, which holds 3 values then, the largest 1x8x16x16"
    )


def test_what_computing_again_saves_and_costs_is_told() -> None:
    """Of the choice that was made, and of all there are: 2050 of 2000 instructions are 2.5 % more."""
    assert MEMORY.sizes() == {
        "state_bytes": 10240,
        "arena_bytes": 40960,
        "lower_bound_bytes": 40000,
        "plan_bytes": 3072,
        "ram_bytes": 65 * 1024,
        "recomputed": 1,
        "recomputing_saves_bytes": 10000,
        "recomputing_costs_percent": 2.5,
    }
    assert [tuple(one.values()) for one in MEMORY.trades()] == [(0, 0, 0.0), (1, 10000, 2.5), (2, 14096, 10.0)]


def test_as_few_activations_are_computed_again_as_fit() -> None:
    """To the byte; all where nothing fits, or no limit was given."""

    def level(pool_bytes: int | None, recompute: str = "auto") -> int:
        ram = None if pool_bytes is None else pool_bytes + FIRMWARE_RAM_BYTES
        return MicrocontrollerLimits(ram, None, recompute).level_for(MEMORY)

    assert [level(size) for size in (64000, 63999, 54272, 54271, 50300, 50299)] == [0, 1, 1, 2, 2, 2]
    assert level(None) == level(64000, "all") == 2
    assert level(None, "none") == level(50300, "none") == 0


def test_a_large_state_is_called_that() -> None:
    found = MicrocontrollerLimits.of("64k", None).problem([replace(MEMORY, state_bytes=41000)])
    assert str(found).endswith("; most of it is state: weights, moments and statistics")


def test_flash_holds_the_program_the_plans_and_the_state() -> None:
    assert MEMORY.flash_bytes == 10240 + 3072 + FIRMWARE_FLASH_BYTES == 29 * 1024
    found = MicrocontrollerLimits.of(None, "28k").problem([MEMORY])
    assert found == (
        "block1 takes 29.0 KiB of flash (plans 3.0 KiB, state 10.0 KiB, the program the rest), and there are 28.0 KiB"
    )


def test_blocks_of_one_board_share_the_largest_arena() -> None:
    """Only one is computed at a time; state and plans of each stay."""
    other = replace(MEMORY, block="block0", arena_bytes=999, pool_bytes=7000 + 1000)
    assert MEMORY.kept_bytes == 54272 - 40960
    assert other.kept_bytes == 7000
    assert shared_pool_bytes([MEMORY, other]) == 40960 + MEMORY.kept_bytes + 7000
    assert shared_pool_bytes([MEMORY]) == MEMORY.pool_bytes
    assert shared_pool_bytes([]) == 0


def test_export_tells_and_refuses(tmp_path: Path) -> None:
    """The whole way: a bundle that fits is written, one that does not leaves nothing but what was there."""
    block = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(64, 3))
    network, place = BlockNetwork([block], 3, (1, 16, 16)), tmp_path / "bundle"
    optimizer, target = SGD(momentum=0.0, nesterov=False), make_target("microcontroller")
    how: dict[str, Any] = {"rule": make_rule("backprop"), "optimizer": optimizer, "path": place, "target": target}
    export_bundle(network, batch_size=1, limits=MicrocontrollerLimits.of("20k", "64k"), **how)
    (found,) = block_memories(open_bundle(place))
    parameters = 4 * 9 + 4 + 64 * 3 + 3
    assert 4 * parameters <= found.state_bytes < 4 * parameters + 8
    assert found.arena_bytes >= 4 * 4 * 16 * 16  # at the least what the convolution gives
    assert found.pool_bytes >= found.state_bytes + found.arena_bytes + found.plan_bytes
    with pytest.raises(ExportError) as caught:
        export_bundle(network, batch_size=4, limits=MicrocontrollerLimits.of("20k", None), **how)
    assert re.fullmatch(SAID, str(caught.value)), caught.value
    assert open_bundle(place).manifest.batch_size == 1
