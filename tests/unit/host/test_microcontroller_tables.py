"""The tables of `edgebll plan` for microcontrollers: what a board takes beside what it has, and what may be computed again."""

from __future__ import annotations

import re

import pytest

from edgebll.kernel.microcontroller.block_memory import BlockMemory
from edgebll.kernel.microcontroller.block_plan import RecomputeLevel
from edgebll_firmware_host.commands.microcontroller_tables import block_rows, board_sizes, print_blocks, print_boards

CHOICE = (RecomputeLevel(4096, 8192, 1000), RecomputeLevel(3072, 7200, 1025))
PLAIN = BlockMemory("block0", 1024, 2048, 2048, 512, 3584, "", (RecomputeLevel(2048, 3584, 500),), 0)
TRADED = BlockMemory("block1", 2048, 3072, 3072, 2048, 7200, "", CHOICE, 1)


def lines(text: str) -> list[str]:
    """The words of each line that has some, single-spaced."""
    return [" ".join(line.split()) for line in text.splitlines() if re.search(r"\w", line)]


def test_blocks_of_one_board_share_its_arena(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = board_sizes([PLAIN, TRADED])
    assert sizes == {"state_bytes": 3072, "arena_bytes": 3072, "plan_bytes": 2560}
    row = {"board": "mcu", **sizes, "memory_bytes": 8704, "memory_free_bytes": 16384}
    print_boards([{"board": "pi", "memory_bytes": 5, "memory_free_bytes": None}, row])
    head, told = lines(capsys.readouterr().out)
    assert head == "microcontroller of state, KiB arena, KiB plans, KiB together, KiB it has, KiB"
    assert told == "mcu 3.0 3.0 2.5 8.5 16.0"
    print_boards([{**row, "memory_free_bytes": None}])
    assert lines(capsys.readouterr().out)[1] == "mcu 3.0 3.0 2.5 8.5"
    print_boards([])
    assert capsys.readouterr().out == ""


def test_the_choices_of_computing_again_are_shown_where_there_are_some(capsys: pytest.CaptureFixture[str]) -> None:
    print_blocks(block_rows({"block0": PLAIN}))
    shown = lines(capsys.readouterr().out)
    assert shown[1:] == ["block0 1.0 2.0 0.5 15.5 0 0.0 +0.0 %"]
    print_blocks(block_rows({"block0": PLAIN, "block1": TRADED}))
    shown = lines(capsys.readouterr().out)
    assert shown[2] == "block1 2.0 3.0 2.0 19.0 1 1.0 +2.5 %"
    assert shown[3:] == [
        "choices of --recompute recomputed saves, KiB instructions",
        "block0 0 0.0 +0.0 % planned",
        "block1 0 0.0 +0.0 %",
        "block1 1 1.0 +2.5 % planned",
    ]
