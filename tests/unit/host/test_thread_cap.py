"""How many threads boards get, as a function of what they have, are asked for and began with; and that it is told once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fake_board import welcome

from edgebll_firmware_host.fleet.board_link import BoardLink
from edgebll_firmware_host.inventory import BoardEntry
from edgebll_firmware_host.policy.thread_cap import ThreadCap, used_threads
from edgebll_firmware_host.run.numerics_guard import Numerics, NumericsGuard

HOME = "tcp://127.0.0.1:1"


def entry(threads: int = 4, **more: object) -> BoardEntry:
    return BoardEntry("a", HOME, threads=threads, **more)  # type: ignore[arg-type]


def how(threads: int, asked: int = 0, runtime: str = "onnxruntime") -> Numerics:
    return Numerics(runtime, threads, "x86_64", asked=asked)


@pytest.mark.parametrize(
    ("threads", "cpus", "used"), [(4, 1.0, 1), (4, 0.5, 1), (4, 1.5, 2), (4, 4.0, 4), (4, 64.0, 4), (1, 0.1, 1), (4, 0.0, 4)]
)
def test_no_more_than_there_are_processors_for(threads: int, cpus: float, used: int) -> None:
    assert used_threads(entry(threads), cpus, ()) == used


def test_who_insists_gets_all_and_other_runtimes_are_left_alone() -> None:
    assert used_threads(entry(cap_threads=False), 1.0, [how(1, 4)]) == 4
    for runtime in ("reference", "tensorrt", "onnxruntime-cuda"):
        assert used_threads(entry(runtime=runtime), 1.0, ()) == 4


def test_what_the_run_began_with_is_kept() -> None:
    assert used_threads(entry(), 8.0, [how(1, 4), how(1, 4)]) == 1, "its board has more processors now"
    assert used_threads(entry(), 1.0, [how(4, 4)]) == 4, "or fewer"
    assert used_threads(entry(), 1.0, [how(4)]) == 4, "by a record of an earlier release"


def test_another_number_that_is_asked_for_counts_anew() -> None:
    assert used_threads(entry(2), 8.0, [how(1, 4)]) == 2
    assert used_threads(entry(), 2.0, [how(1, 4), how(3, 4)]) == 2, "blocks that began unlike have nothing in common"
    assert used_threads(entry(), 2.0, [how(1, 4, "reference")]) == 2


@given(st.integers(1, 64), st.lists(st.floats(0, 64), min_size=1, max_size=8))
def test_however_processors_come_and_go_a_run_has_one_number_of_threads(threads: int, cpus: list[float]) -> None:
    began: list[Numerics] = []
    for now in cpus:  # each an incarnation, on a board with other processors
        used = used_threads(entry(threads), now, began)
        began = began or [how(used, threads)]
        assert used == began[0].threads
    assert 1 <= began[0].threads <= threads


@contextlib.contextmanager
def linked(board: BoardEntry, cpus: float) -> Iterator[dict[str, BoardLink]]:
    with contextlib.closing(BoardLink(board, "run", None)) as link:
        link.accept(welcome(cpus=cpus))
        yield {board.name: link}


def test_it_is_recorded_and_told_once(tmp_path: Path) -> None:
    said: list[str] = []
    cap, alike = ThreadCap(said.append), NumericsGuard(tmp_path)
    for _ in range(2):
        with linked(entry(), 1.0) as links:
            cap.apply(links, {"a": ("block0",)}, alike.began)
            assert links["a"].threads == 1
            alike.note({"block0": Numerics.of(links["a"])}, 0)
    assert said == ["board a has 1 processor and so uses 1 of the 4 threads asked for (cap_threads = false insists on all)"]
    with linked(entry(), 4.0) as links:
        ThreadCap(said.append).apply(links, {"a": ("block0",)}, NumericsGuard(tmp_path).began)
        assert links["a"].threads == 1
    assert (
        said[1] == "board a has 4 processors and uses 1 of the 4 threads asked for, as its run began: more may give other bits"
    )


@pytest.mark.parametrize(("board", "why"), [(entry(cap_threads=False), "cap_threads = false says"), (entry(), "its run began")])
def test_too_many_are_told_of(board: BoardEntry, why: str) -> None:
    said: list[str] = []
    with linked(board, 1.0) as links:
        ThreadCap(said.append).apply(links, {"a": ("block0",)}, {"block0": how(4, 4)})
    assert said == [f"board a has 1 processor for 4 threads, as {why}: steps may take many times as long as with 1"]


def test_a_board_that_does_not_know_is_not_told_of() -> None:
    said: list[str] = []
    with linked(entry(), 0.0) as links:
        ThreadCap(said.append).apply(links, {"a": ("block0",)}, {})
        assert links["a"].threads == 4
    assert said == []
