"""What boards need for blocks: of a microcontroller what the plans say, and of other boards the estimate."""

from __future__ import annotations

from support.fake_board import welcome

from edgebll.kernel.microcontroller.block_memory import BlockMemory
from edgebll.kernel.microcontroller.block_plan import RecomputeLevel
from edgebll.kernel.spec.runtime_names import SERIAL
from edgebll_firmware_host.inventory import BoardEntry
from edgebll_firmware_host.policy.block_placement import place_among
from edgebll_firmware_host.policy.memory_fit import Room
from edgebll_firmware_host.policy.memory_need import BOARD_BYTES, Needs


def planned() -> dict[str, BlockMemory]:
    """Two blocks that keep 1000 and 2000 bytes, and need arenas of 400 and 80."""
    sizes = {"block0": (1000, 400), "block1": (2000, 80)}
    return {
        name: BlockMemory(name, kept, arena, arena, 0, kept + arena, "", (RecomputeLevel(arena, arena, 1),), 0)
        for name, (kept, arena) in sizes.items()
    }


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


def test_blocks_go_to_the_microcontroller_that_holds_them() -> None:
    """A large one on a board of its own, and what fits nowhere is refused to the byte."""
    needs = Needs({"block0": 7, "block1": 8}, {"block0": 0, "block1": 0}, {"block0": 0, "block1": 0}, planned)
    boards = [BoardEntry(name, f"tcp://127.0.0.1:{at}", runtime=SERIAL) for at, name in enumerate("ab", 7000)]
    fits = Room(needs, {"a": 2080, "b": 1400})
    placed = place_among(["block0", "block1"], [1.0, 1.0], boards, "ab", fits)
    assert placed.blocks == {"b": ("block0",), "a": ("block1",)}
    assert fits.problem(placed.blocks, boards) == ""
    short = Room(needs, {"a": 2079, "b": 1400}, {"a": "its microcontroller"})
    assert short.problem({"a": ("block1",)}, boards).startswith(
        "the microcontroller of board a has 2,079 bytes for blocks, but block1 needs 2,080; "
    )


def test_a_microcontroller_has_room_for_what_it_says_itself() -> None:
    """Not for what its agent's machine has; by the port of its entry, else by the first."""
    needs = Needs({"block0": 7, "block1": 8}, {"block0": 0, "block1": 0}, {"block0": 0, "block1": 0}, planned)
    entries = [
        BoardEntry("first", "tcp://127.0.0.1:1", runtime=SERIAL),
        BoardEntry("second", "tcp://127.0.0.1:2", runtime=SERIAL, port="/dev/ttyACM1"),
        BoardEntry("laptop", "tcp://127.0.0.1:3"),
        BoardEntry("known-better", "tcp://127.0.0.1:4", runtime=SERIAL, memory_mib=1),
        BoardEntry("silent", "tcp://127.0.0.1:5", runtime=SERIAL),
    ]
    said = welcome(memory_free_bytes=1 << 30, memory_pool="p", microcontrollers={"/dev/ttyACM0": 1400, "/dev/ttyACM1": 2000})
    silent = welcome(memory_free_bytes=1 << 30, microcontrollers={"/dev/ttyACM0": 0})
    room = Room.told(needs, [(entry, silent if entry.name == "silent" else said) for entry in entries])
    assert room.free == {"first": 1400, "second": 2000, "laptop": 1 << 30, "known-better": 1 << 20}
    assert room.pools == {"laptop": "p"}
    assert room.holds(entries[0], ("block0",))
    assert not room.holds(entries[1], ("block1",))
    assert room.holds(entries[4], ("block1",))
