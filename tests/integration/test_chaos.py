"""Whatever happens to boards, host and links, and whenever: the run ends, with the bits of a run to which nothing happened."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.chaos import FAULTS, SPOILING, schedule
from support.chaos_boards import Board, boards, make_kinds
from support.chaos_trial import Trial
from support.slow import slow_after

from edgebll.kernel.bundle import Bundle

STEPS = 300
KINDS = make_kinds(STEPS, 20)
SEEDS = range(10)
_RUNS = itertools.count()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[Board], Path]]:
    with boards(tmp_path_factory.mktemp("plain") / "boards", 3, encrypted=False) as made:
        yield made


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[Board], Path]]:
    with boards(tmp_path_factory.mktemp("encrypted") / "boards", 3, encrypted=True) as made:
        yield made


@pytest.mark.parametrize("seed", slow_after(6, SEEDS))
def test_any_faults_leave_the_bits_as_they_are(
    side_bundle: Bundle, undisturbed: str, tmp_path: Path, seed: int, request: pytest.FixtureRequest
) -> None:
    secret = seed % 2 == 1
    made, cluster = request.getfixturevalue("encrypted" if secret else "plain")
    trial = Trial(side_bundle, KINDS, cluster, made, tmp_path / f"run{next(_RUNS)}")
    assert trial.go(schedule(seed, STEPS, made, 2, encrypted=secret)) == undisturbed, trial.log
    assert len(trial.log) == 2, "not all faults came before the end"


def test_every_kind_of_fault_is_among_them(plain: tuple[list[Board], Path]) -> None:
    schedules = (schedule(seed, STEPS, plain[0], 2, encrypted=seed % 2 == 1) for seed in SEEDS)
    assert {name.partition(" (")[0] for faults in schedules for _, name, _ in faults} == {*FAULTS, *SPOILING}


def test_a_board_whose_disk_refuses_is_replaced_by_others(
    side_bundle: Bundle, undisturbed: str, plain: tuple[list[Board], Path], tmp_path: Path
) -> None:
    """When the next incarnation sends it files, it cannot take them and says so; the run goes on without it."""
    made, cluster = plain
    objects = made[0].log.parent / "objects"

    def spoil(trial: Trial) -> None:
        objects.rename(tmp_path / "objects")
        objects.write_text("a file where the board's folder was")
        trial.later(0.0, made[1].control.cut)

    # A slower host: on a busy machine the run must not be over before the fault is felt.
    trial = Trial(side_bundle, KINDS, cluster, made, tmp_path / f"run{next(_RUNS)}", pause_s=0.015)
    try:
        assert trial.go([(60, "spoil", spoil)]) == undisturbed
    finally:
        objects.unlink(missing_ok=True)
        (tmp_path / "objects").rename(objects)
    assert any("board0" in line and "cannot write" in line and "recovering" in line for line in trial.lines), trial.lines
    assert any("goes on from step" in line and "board0" not in line for line in trial.lines)
