"""What holds of the sources that answer on a board's line: no heap, short files, no findings, and one specification."""

from __future__ import annotations

import re

from support.c_sources import check_by_cppcheck, check_layout
from support.documents import Document

from edgebll_devices.microcontroller.firmware_boards import board_names, find_board, firmware_folder
from edgebll_devices.microcontroller.replies import Reason
from edgebll_devices.microcontroller.requests import LINK_VERSION, PLANS, SLOTS, Op

ROOMS = [firmware_folder() / room for room in ("link", "server", "boards")]
SOURCES = [path for room in ROOMS for path in sorted(room.glob("*.[ch]"))]
PAGE = Document("docs/reference/microcontroller-link.md").text


def test_no_heap_but_in_the_process_that_stands_for_a_board() -> None:
    text = "\n".join(source.read_text() for source in SOURCES if source.name != "host.c")
    assert set(re.findall(r"#include <(\w+\.h)>", text)) <= {"stddef.h", "stdint.h", "string.h"}
    assert not re.search(r"\b(malloc|calloc|realloc|free|alloca|setjmp|goto|printf)\b", text)


def test_files_are_short_and_lines_fit() -> None:
    assert len(SOURCES) > 14
    check_layout(SOURCES)


def test_cppcheck_finds_nothing() -> None:
    defines = {**find_board("mps2-an386").board.defines, "BOARD_BAUD": "115200u", "BOARD_NAME": '"x"', "EDGEBLL_SPARSE": "1"}
    flags = [f"-D{name}={value}" for name, value in defines.items()]
    flags += [f"-I{room}" for room in (*ROOMS, firmware_folder() / "runtime")]
    check_by_cppcheck(*flags, *ROOMS)


def test_firmware_host_and_specification_have_the_same_numbers() -> None:
    header = (firmware_folder() / "server" / "server.h").read_text()
    defined = {name: int(value) for name, value in re.findall(r"#define (\w+) (\d+)u", header)}
    assert (defined["LINK_VERSION"], defined["SLOTS"], defined["PLANS"]) == (LINK_VERSION, SLOTS, PLANS)
    ops = {name: int(value) for name, value in re.findall(r"OP_(\w+) = (\d+),", header)}
    reasons = {name: int(value) for name, value in re.findall(r"NAK_(\w+) = (\d+)", header) if name != "NONE"}
    assert {op.name: int(op) for op in Op} == {name: number for name, number in ops.items() if number}
    assert {reason.name: int(reason) for reason in Reason} == reasons
    assert f"Version {LINK_VERSION}." in PAGE
    for name, number in {**{op.name: int(op) for op in Op}, **reasons}.items():
        assert f"| {number} | {name} |" in PAGE


def test_every_board_says_what_its_sources_ask_for() -> None:
    """A macro that no file defines would be found by the compiler of that board alone, which not everybody has."""
    for name in board_names():
        board = find_board(name).board
        used: set[str] = set()
        for source in board.sources:
            used |= set(re.findall(r"\bBOARD_[A-Z_]+\b", (firmware_folder() / "boards" / source).read_text()))
        given = {*board.defines, "BOARD_BAUD", "BOARD_NAME", "BOARD_RING_BYTES"}
        assert used <= given, name
