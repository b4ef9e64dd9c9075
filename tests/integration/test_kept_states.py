"""Boards keep the states of their blocks: a recovery on the same board sends none of them. A disk that refuses does no harm."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.chaos_boards import Board, boards
from support.chaos_trial import Trial

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.wire import END, SNAPSHOT, TRAIN

#: A single snapshot, so that it does not matter how long a board takes to write what it keeps.
KINDS = [*[TRAIN] * 30, SNAPSHOT, *[TRAIN] * 170, END]
MANY = [*[TRAIN, SNAPSHOT] * 50, END]
#: States of four blocks, and what two of them have sent that waits on side streams.
FILES = 6


@pytest.fixture
def board(tmp_path: Path) -> Iterator[tuple[Board, Path]]:
    """One board, which hosts all blocks: no other can take them while it starts again. And its cluster.toml."""
    with boards(tmp_path / "boards", 1, encrypted=False) as (made, cluster):
        yield made[0], cluster


def kept(board: Board) -> list[Path]:
    return sorted((board.log.parent / "states").iterdir())


def await_kept(*boards: Board) -> None:
    """Wait until the boards have written what they keep of the snapshot."""
    deadline = time.monotonic() + 20.0
    while sum(len(kept(board)) for board in boards) < FILES:
        assert time.monotonic() < deadline, [kept(board) for board in boards]
        time.sleep(0.005)


def restart(board: Board, meanwhile: Callable[[], None] = lambda: None) -> Callable[[Trial], None]:
    def inflict(trial: Trial) -> None:
        await_kept(board)
        board.kill()
        meanwhile()
        board.whole()

    return inflict


def shipped_bytes(trial: Trial) -> int:
    """Files sent at recoveries, by what the host says of them."""
    said = [line.removeprefix("recovery ") for line in trial.lines if line.startswith("recovery ")]
    facts = [json.loads(line) for line in said]
    assert any(each["step"] == 30 for each in facts), facts
    return sum(each["shipped_bytes"] for each in facts)


def test_a_restarted_board_is_sent_nothing(
    side_bundle: Bundle, undisturbed: str, board: tuple[Board, Path], tmp_path: Path
) -> None:
    trial = Trial(side_bundle, KINDS, board[1], [board[0]], tmp_path / "run")
    assert trial.go([(60, "restart", restart(board[0]))]) == undisturbed
    assert shipped_bytes(trial) == 0
    assert "are not kept" not in board[0].log.read_text()


@pytest.mark.parametrize("cut", [False, True])
def test_a_damaged_state_is_noticed_and_sent_again(
    side_bundle: Bundle, undisturbed: str, board: tuple[Board, Path], tmp_path: Path, cut: bool
) -> None:
    sizes: list[int] = []

    def damage() -> None:
        path = kept(board[0])[1]
        content = path.read_bytes()
        sizes.append(len(content))
        path.write_bytes(content[:-5] if cut else content[:-5] + bytes(5))

    trial = Trial(side_bundle, KINDS, board[1], [board[0]], tmp_path / "run")
    assert trial.go([(60, "restart", restart(board[0], damage))]) == undisturbed
    assert shipped_bytes(trial) == sizes[0]


def test_each_of_four_boards_is_sent_what_it_has_not_kept_and_needs(
    side_bundle: Bundle, undisturbed: str, tmp_path: Path
) -> None:
    """The state of its own block it has, and what that has sent; it needs what others have sent to it, and nothing else."""
    with boards(tmp_path / "boards", 4, encrypted=False) as (made, cluster):
        trial = Trial(side_bundle, KINDS, cluster, made, tmp_path / "run")

        def cut(_: Trial) -> None:
            await_kept(*made)
            made[0].control.cut()

        assert trial.go([(60, "cut", cut)]) == undisturbed
    streams = tmp_path / "run" / "snapshots" / "step000000030"
    waiting = [(streams / f"block{source}.streams.safetensors").stat().st_size for source in (2, 3)]
    assert shipped_bytes(trial) == sum(waiting), "block2's to block1 and block3's to block0"


def test_only_the_newest_two_are_on_the_disk_whatever_happens(
    side_bundle: Bundle, board: tuple[Board, Path], tmp_path: Path
) -> None:
    def cut(trial: Trial) -> None:
        board[0].control.cut()

    trial = Trial(side_bundle, MANY, board[1], [board[0]], tmp_path / "run")
    trial.go([(10, "cut", cut), (20, "cut", cut)])
    assert FILES <= len(kept(board[0])) <= 2 * FILES + 2, (
        "a block's that were written late may wait for the next to remove them"
    )


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of 16 MiB at a folder."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(folder)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"this needs leave to mount a file system: {mounted.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def full_board(tmp_path: Path) -> Iterator[tuple[Board, Path]]:
    with small_disk(tmp_path / "disk"), boards(tmp_path / "disk" / "boards", 1, encrypted=False) as (made, cluster):
        yield made[0], cluster


def test_a_full_disk_fails_nothing(
    side_bundle: Bundle, undisturbed: str, full_board: tuple[Board, Path], tmp_path: Path
) -> None:
    """Files of bundles are taken; states of snapshots are what is left out, and it is said once."""
    board, cluster = full_board
    trial = Trial(side_bundle, KINDS, cluster, [board], tmp_path / "run")
    assert trial.go([(60, "cut", lambda _: board.control.cut())]) == undisturbed
    assert shipped_bytes(trial) > 0
    assert board.log.read_text().count("are not kept here") == 1
    assert "MiB would be left free" in board.log.read_text()


def test_a_folder_that_refuses_fails_nothing(
    side_bundle: Bundle, undisturbed: str, board: tuple[Board, Path], tmp_path: Path
) -> None:
    folder = board[0].log.parent / "states"
    folder.rmdir()
    folder.write_text("a file where the folder was")
    trial = Trial(side_bundle, KINDS, board[1], [board[0]], tmp_path / "run")
    assert trial.go([(60, "cut", lambda _: board[0].control.cut())]) == undisturbed
    assert shipped_bytes(trial) > 0
    assert board[0].log.read_text().count("are not kept here") == 1
    folder.unlink()


def test_nothing_is_kept_where_nothing_is_asked_for(
    side_bundle: Bundle, undisturbed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEBLL_KEEP_SNAPSHOTS", "0")
    with boards(tmp_path / "boards", 1, encrypted=False) as ((board,), cluster):
        trial = Trial(side_bundle, KINDS, cluster, [board], tmp_path / "run")
        assert trial.go([(60, "cut", lambda _: board.control.cut())]) == undisturbed
        assert shipped_bytes(trial) > 0
        assert len(kept(board)) == FILES, "what was sent"
