"""A board that is told to end leaves its run in order: its blocks move at a snapshot, nothing counts as a failure."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from support.board_runs import run_alone
from support.chaos_boards import Board, boards, make_kinds
from support.chaos_trial import Trial
from support.direct_host import PATIENCE_S, DirectHost, agent_process
from support.pipelines import invoke
from support.tiny_bundle import make_batch, make_tiny_bundle

from edgebll import __version__
from edgebll.kernel.bundle import Bundle
from edgebll.kernel.state.block_state import state_sha256
from edgebll.kernel.wire import PROTOCOL_VERSION, TRAIN, Failure, Hello, Leaving, Report, Token
from edgebll_firmware_host.run_files.status_files import read_status

STEPS, PAUSE_S = 700, 0.008
#: No snapshot but those that are taken for a change.
KINDS = make_kinds(STEPS, 10 * STEPS)
RUN = "run"
Step = tuple[int, str, Callable[[Trial], None]]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny", blocks=2)


@pytest.fixture(scope="module")
def expected(bundle: Bundle) -> str:
    return state_sha256(run_alone(bundle, KINDS))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[Board], Path]]:
    """Three boards for two blocks: the third is a spare."""
    with boards(tmp_path_factory.mktemp("plain") / "boards", 3, encrypted=False) as made:
        yield made


def states(trial: Trial) -> dict[str, str]:
    return {board.name: board.state for board in read_status(trial.run).boards}


def leave(trial: Trial) -> Board:
    """End a board with blocks as `systemctl stop` does; on a loaded machine another one than expected may have them."""
    board = next(board for board in trial.boards if states(trial)[board.name] == "working")
    board.send(signal.SIGTERM)
    return board


def again(board: Board) -> None:
    """Start a board again that was told to end."""
    assert board.agent.process.wait(PATIENCE_S) == 0
    board.start()


def check(trial: Trial, faults: list[Step], expected: str) -> list[int]:
    """Run it; the training steps of the last snapshots that were taken, all for changes."""
    assert trial.go(faults) == expected
    said = [line for line in trial.lines if not line.startswith("step ")]
    assert not [line for line in said if line.startswith("recovery") or "recovering" in line], said
    assert read_status(trial.run).recoveries == 0
    return sorted(int(path.name.removeprefix("step")) for path in (trial.run / "snapshots").iterdir())


def test_a_spare_takes_the_blocks_of_a_board_that_leaves(
    bundle: Bundle, expected: str, made: tuple[list[Board], Path], tmp_path: Path
) -> None:
    gone: list[Board] = []
    seen: list[dict] = []
    logged = {board.name: board.log.stat().st_size for board in made[0]}

    def end(trial: Trial) -> None:
        assert gone[0].agent.process.wait(PATIENCE_S) == 0

    def look(trial: Trial) -> None:
        boards = json.loads(invoke("cluster", "status", trial.run, "--json"))["boards"]
        seen.append({board["name"]: board for board in boards})

    trial = Trial(bundle, KINDS, made[1], made[0], tmp_path / "run", pause_s=PAUSE_S)
    faults = [(150, "leave", lambda trial: gone.append(leave(trial))), (400, "ended", end), (690, "look", look)]
    snapshots = check(trial, faults, expected)
    assert any(150 <= step < 400 for step in snapshots), "the run went on from a snapshot that was taken for it"
    log = gone[0].log.read_bytes()[logged[gone[0].name] :].decode()
    assert "is to end" in log
    assert " ERROR " not in log, "to leave in order is no failure"
    left = seen[0].pop(gone[0].name)
    assert (left["state"], left["blocks"]) == ("away", [])
    assert sum(len(board["blocks"]) for board in seen[0].values()) == 2
    assert sum(f"{gone[0].name} leaves: blocks are placed anew" in line for line in trial.lines) == 1


def test_the_same_board_is_used_again_where_there_is_no_other(
    bundle: Bundle, expected: str, made: tuple[list[Board], Path], tmp_path: Path
) -> None:
    """One board has all blocks; the run waits until its service has been started again."""
    board = made[0][0]
    cluster = tmp_path / "cluster.toml"
    cluster.write_text(f'[host]\ndeadline_s = 1.0\n[[board]]\nname = "board0"\nendpoint = "{board.endpoint}"\n')
    trial = Trial(bundle, KINDS, cluster, made[0], tmp_path / "run", pause_s=PAUSE_S)

    (snapshot,) = check(trial, [(150, "leave", lambda trial: again(leave(trial)))], expected)
    assert 150 <= snapshot < 400
    assert json.loads((trial.run / "incarnation.json").read_text()) == {"incarnation": 2}


def test_all_boards_leave_at_once_and_come_back(
    bundle: Bundle, expected: str, made: tuple[list[Board], Path], tmp_path: Path
) -> None:
    """As when a rack is shut down: whether the second is heard before or after the snapshot, nothing is lost."""

    def all_leave(trial: Trial) -> None:
        for board in made[0]:
            board.send(signal.SIGTERM)
            trial.later(2.0, partial(again, board))

    trial = Trial(bundle, KINDS, made[1], made[0], tmp_path / "run", pause_s=PAUSE_S)
    assert trial.go([(150, "leave", all_leave)]) == expected


def test_a_board_that_comes_back_gets_its_blocks_again(
    bundle: Bundle, expected: str, made: tuple[list[Board], Path], tmp_path: Path
) -> None:
    trial = Trial(bundle, KINDS, made[1], made[0][:2], tmp_path / "run", pause_s=PAUSE_S)
    cluster = tmp_path / "two.toml"
    cluster.write_text(re.sub(r"\[\[board\]\]\nname = \"board2\".*", "", made[1].read_text(), flags=re.DOTALL))
    trial.cluster = cluster
    seen: list[dict] = []
    faults: list[Step] = [
        (100, "leave", lambda trial: trial.later(0.5, partial(again, leave(trial)))),
        (690, "look", lambda trial: seen.append(states(trial))),
    ]
    check(trial, faults, expected)
    assert seen == [{"board0": "working", "board1": "working"}]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_an_idle_board_ends_at_once(tmp_path: Path, number: signal.Signals, code: int) -> None:
    with agent_process(tmp_path / "state", "--leave-seconds", "1000") as agent:
        with DirectHost(agent.endpoint, RUN) as host:
            host.hello()
            host.stop()
        assert agent.end(number) == code


def test_a_board_works_on_until_it_is_let_go_and_takes_nothing_new(bundle: Bundle, tmp_path: Path) -> None:
    with agent_process(tmp_path / "state") as agent, DirectHost(agent.endpoint, RUN) as host:
        host.start(bundle, ("block0", "block1"))
        agent.process.send_signal(signal.SIGTERM)
        leaving = host.expect(Leaving)
        assert (leaving.run, leaving.incarnation) == (RUN, 0)
        assert 15 < leaving.seconds <= 20
        with DirectHost(agent.endpoint, "other") as other:
            other.control.send(Hello("other", PROTOCOL_VERSION, __version__))
            assert "board test is about to end" in other.expect(Failure).message
        x, y = make_batch(bundle, 0)
        host.token(Token(RUN, "block0", TRAIN, 0, 0, 0, {"lr": 0.1}, tensors={"x": x, "y": y}))
        while not isinstance(host.next(), Report):
            pass
        assert agent.process.poll() is None
        host.stop()
        assert agent.process.wait(PATIENCE_S) == 0


def test_it_waits_no_longer_than_it_was_told(bundle: Bundle, tmp_path: Path) -> None:
    with agent_process(tmp_path / "state", "--leave-seconds", "0.3") as agent, DirectHost(agent.endpoint, RUN) as host:
        host.start(bundle, ("block0", "block1"))
        assert agent.end() == 0
        assert host.expect(Leaving).seconds <= 0.3
        assert "the agent is shutting down" in host.failure().message


def test_a_second_signal_ends_it_at_once(bundle: Bundle, tmp_path: Path) -> None:
    with agent_process(tmp_path / "state", "--leave-seconds", "1000") as agent, DirectHost(agent.endpoint, RUN) as host:
        host.start(bundle, ("block0", "block1"))
        agent.process.send_signal(signal.SIGTERM)
        host.expect(Leaving)
        assert agent.end(signal.SIGINT) == -signal.SIGINT


def test_it_does_not_wait_for_a_host_that_is_gone(bundle: Bundle, tmp_path: Path) -> None:
    with agent_process(tmp_path / "state", "--leave-seconds", "1000", "--deadline", "1000") as agent:
        with DirectHost(agent.endpoint, RUN) as host:
            host.start(bundle, ("block0", "block1"))
            agent.process.send_signal(signal.SIGTERM)
            host.expect(Leaving)
        started = time.monotonic()
        assert agent.process.wait(PATIENCE_S) == 0
        assert time.monotonic() - started < PATIENCE_S / 2
