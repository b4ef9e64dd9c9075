"""What boards need for blocks: of a microcontroller what the plans say, and of other boards the estimate."""

from __future__ import annotations

from edgebll.kernel.microcontroller.block_memory import BlockMemory
from edgebll.kernel.spec.runtime_names import SERIAL
from edgebll_firmware_host.policy.memory_need import BOARD_BYTES, Needs


def planned() -> dict[str, BlockMemory]:
    """Two blocks that keep 1000 and 2000 bytes, and need arenas of 400 and 80."""
    sizes = {"block0": (1000, 400), "block1": (2000, 80)}
    return {name: BlockMemory(name, kept, arena, arena, 0, kept + arena, "") for name, (kept, arena) in sizes.items()}


def test_a_microcontroller_needs_what_the_plans_say() -> None:
    needs = Needs({"block0": 7, "block1": 8}, {"block0": 0, "block1": 0}, {"block0": 100, "block1": 200}, planned)
    assert needs.of(("block0",), SERIAL) == 1400
    assert needs.of(("block0", "block1"), SERIAL) == 3400
    assert needs.of((), SERIAL) == 0
    assert needs.of(("block0", "block1")) == BOARD_BYTES + 15 + 200


def test_no_plans_are_made_for_other_boards() -> None:
    def fails() -> dict[str, BlockMemory]:
        raise AssertionError("planned for a board that is no microcontroller")

    assert Needs({"block0": 7}, {"block0": 0}, {"block0": 0}, fails).of(("block0",)) == BOARD_BYTES + 7
