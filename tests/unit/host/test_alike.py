"""Whether blocks are computed as when the run began: told once for each block, known to hosts that go on with the run."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

from support.fake_board import welcome

from edgebll.kernel.spec.runtime_names import SERIAL
from edgebll_firmware_host.fleet.board_link import BoardLink
from edgebll_firmware_host.inventory import BoardEntry
from edgebll_firmware_host.run.numerics_guard import COMPUTING, Numerics, NumericsGuard, warning

ONE, FOUR = Numerics("onnxruntime", 1, "x86_64"), Numerics("onnxruntime", 4, "x86_64")


def test_a_block_that_is_computed_otherwise_is_told_of_once(tmp_path: Path) -> None:
    alike = NumericsGuard(tmp_path)
    assert alike.note({"block0": ONE, "block1": FOUR}, 0) == []
    (told,) = alike.note({"block0": ONE, "block1": ONE}, 100)
    assert told == (
        "block1 is computed by onnxruntime on x86_64 with 1 thread now, and by onnxruntime on x86_64 with 4 threads when the "
        "run began: the bits need not be those of an undisturbed run"
    )
    assert alike.note({"block0": ONE, "block1": ONE}, 200) == []
    assert alike.note({"block0": ONE, "block1": FOUR}, 300) == [], "it is too late to be alike again"
    assert alike.unlike == ["block1"]


def test_the_host_that_goes_on_with_the_run_knows(tmp_path: Path) -> None:
    NumericsGuard(tmp_path).note({"block0": ONE}, 0)
    resumed = NumericsGuard(tmp_path)
    assert len(resumed.note({"block0": Numerics("onnxruntime", 1, "aarch64")}, 100)) == 1
    assert NumericsGuard(tmp_path).unlike == ["block0"]


def test_a_run_that_begins_again_from_its_bundle_is_alike(tmp_path: Path) -> None:
    alike = NumericsGuard(tmp_path)
    alike.note({"block0": FOUR}, 0)
    assert alike.note({"block0": ONE}, 0) == []
    assert alike.unlike == []


def test_a_damaged_record_begins_anew(tmp_path: Path) -> None:
    (tmp_path / COMPUTING).write_text('{"blocks": {"block0": 3}}')
    alike = NumericsGuard(tmp_path)
    assert alike.note({"block0": ONE}, 100) == []
    assert len(alike.note({"block0": FOUR}, 100)) == 1


def test_an_inventory_of_unlike_boards_is_told_of() -> None:
    boards = [BoardEntry(name, "tcp://127.0.0.1:1", threads=1) for name in ("a", "b")]
    assert warning(boards) is None
    told = warning([*boards, BoardEntry("c", "tcp://127.0.0.1:1", threads=4)])
    assert told is not None
    assert "b: onnxruntime with 1 thread; c: onnxruntime with 4 threads" in told


def test_microcontrollers_are_alike_but_for_fast_ones() -> None:
    def how(profiles: dict[str, str], port: str = "/dev/ttyACM0", runtime: str = SERIAL) -> Numerics:
        link = BoardLink(BoardEntry("a", "tcp://127.0.0.1:1", runtime=runtime, port=port), "run", None)
        with contextlib.closing(link):
            link.accept(replace(welcome(runtimes=(runtime,)), microcontroller_profiles=profiles))
            return Numerics.of(link)

    exact = how({"/dev/ttyACM0": "exact"})
    assert exact == how({"/dev/ttyACM0": "small"}) == how({}) == how({}, "", "ordered"), "one order, one set of bits"
    fast = how({"/dev/ttyACM0": "fast mps2-an386"})
    assert fast != exact
    assert fast == how({"/dev/ttyACM0": "fast mps2-an386", "/dev/ttyACM1": "exact"})
    assert fast == how({"/dev/ttyACM1": "fast mps2-an386", "/dev/ttyACM0": "exact"}, port="")
    assert fast != how({"/dev/ttyACM0": "fast mps3-an547"})
    assert str(fast) == "serial on mps2-an386 with fast firmware with 1 thread"


def test_engines_are_a_boards_own() -> None:
    def how(name: str, runtime: str) -> Numerics:
        link = BoardLink(BoardEntry(name, "tcp://127.0.0.1:1", runtime=runtime), "run", None)
        with contextlib.closing(link):
            link.accept(welcome(runtimes=(runtime,)))
            return Numerics.of(link)

    assert how("a", "onnxruntime") == how("b", "onnxruntime")
    for runtime in ("tensorrt", "onnxruntime-tensorrt"):
        assert how("a", runtime) != how("b", runtime)
        assert "with the engine of a" in str(how("a", runtime))
