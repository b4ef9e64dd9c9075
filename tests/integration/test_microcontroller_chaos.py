"""Two microcontrollers and a Linux board: whatever happens to chips, lines, agents and host, the bits of an undisturbed run.

Most chips are the firmware as a process of this machine, whose line is a socket; two schedules have emulated Cortex-M4F.
`tests/soak/microcontrollers.py` runs two hundred schedules.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.board_runs import make_tokens
from support.chaos_boards import Board, make_kinds
from support.chaos_trial import Trial
from support.microcontroller_chaos import DEVICE_FAULTS, OTHERS, mixed_boards, schedule
from support.microcontroller_tools import emulated_boards
from support.slow import slow_after
from support.tiny_bundle import SIDES, make_tiny_bundle

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.execution.sequential import run_sequential
from edgebll.kernel.state.block_state import state_sha256
from edgebll.kernel.wire import State

STEPS, FAULTS_A_RUN = 150, 2
KINDS = make_kinds(STEPS, 10)
#: The first takes a chip's power; so do those of emulated boards, one after a cut line, one before the host is killed.
SEEDS, EMULATED_SEEDS = (2, 0, 1, *range(3, 15), 17, 18, 19), (15, 16)
_RUNS = itertools.count()
pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny", blocks=4, sides=SIDES)


@pytest.fixture(scope="module")
def undisturbed(bundle: Bundle) -> str:
    """The state of a run in this process."""
    messages = run_sequential(bundle, "alone", make_tokens(bundle, KINDS, "alone"), runtime="ordered")
    return state_sha256({m.block: m.tensors for m in messages if isinstance(m, State) and m.final})


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[Board], Path]]:
    with mixed_boards(tmp_path_factory.mktemp("p") / "b", "host") as made:
        yield made


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[Board], Path]]:
    with mixed_boards(tmp_path_factory.mktemp("e") / "b", "mps2-an386") as made:
        yield made


def go(bundle: Bundle, there: tuple[list[Board], Path], folder: Path, seed: int) -> tuple[str, list[str]]:
    """The final state and what was done; where a chip lost its power last, that was felt."""
    made, cluster = there
    trial = Trial(bundle, KINDS, cluster, made, folder / f"run{next(_RUNS)}", pause_s=0.01)
    state = trial.go(schedule(seed, STEPS, made, FAULTS_A_RUN))
    if "take the power" in trial.log[-1]:
        assert any(line.startswith("recovery") and "chip" in line for line in trial.lines), trial.lines
    return state, trial.log


@pytest.mark.parametrize("seed", slow_after(1, SEEDS, lambda seed: seed >= 6))
def test_any_faults_leave_the_bits_as_they_are(
    bundle: Bundle, undisturbed: str, processes: tuple[list[Board], Path], tmp_path: Path, seed: int
) -> None:
    state, log = go(bundle, processes, tmp_path, seed)
    assert state == undisturbed, log
    assert len(log) == FAULTS_A_RUN, "not all faults came before the end"


@emulated_boards()
@pytest.mark.slow
@pytest.mark.parametrize("seed", EMULATED_SEEDS)
def test_so_do_faults_of_emulated_boards(
    bundle: Bundle, undisturbed: str, emulated: tuple[list[Board], Path], tmp_path: Path, seed: int
) -> None:
    state, log = go(bundle, emulated, tmp_path, seed)
    assert state == undisturbed, log
    assert len(log) == FAULTS_A_RUN, "not all faults came before the end"


def test_every_kind_of_fault_is_among_them(processes: tuple[list[Board], Path]) -> None:
    schedules = (schedule(seed, STEPS, processes[0], FAULTS_A_RUN) for seed in (*SEEDS, *EMULATED_SEEDS))
    assert {name.partition(" (")[0] for faults in schedules for _, name, _ in faults} == {*DEVICE_FAULTS, *OTHERS}
