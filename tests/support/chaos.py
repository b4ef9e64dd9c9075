"""Seeded faults for a run over real processes: boards, host and links are killed, frozen, cut and spoilt at chosen steps."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Sequence

from support.chaos_boards import BOARD_DEADLINE_S, Board
from support.chaos_trial import Trial

Fault = Callable[[Trial, Board, random.Random], None]


def _kill(trial: Trial, board: Board, chance: random.Random) -> None:
    board.kill()
    trial.later(chance.choice([0.0, 0.3, 2.0]), board.whole)


def _freeze(trial: Trial, board: Board, chance: random.Random) -> None:
    board.send(signal.SIGSTOP)
    trial.later(chance.choice([0.3, 2.0, 4.0]), board.whole)  # within the deadline, and beyond it


def _kill_host(trial: Trial, board: Board, chance: random.Random) -> None:
    trial.kill_host()


def _freeze_host(trial: Trial, board: Board, chance: random.Random) -> None:
    trial.host_signal(signal.SIGSTOP)
    trial.later(chance.choice([0.5, BOARD_DEADLINE_S + 0.5]), lambda: trial.host_signal(signal.SIGCONT))


def _cut(trial: Trial, board: Board, chance: random.Random) -> None:
    chance.choice([board.control, board.data]).cut()


def _flap(trial: Trial, board: Board, chance: random.Random) -> None:
    proxy = chance.choice([board.control, board.data])
    for number in range(4):
        trial.later(0.1 * number, proxy.cut)


def _half_open(trial: Trial, board: Board, chance: random.Random) -> None:
    chance.choice([board.control, board.data]).hold.clear()
    trial.later(chance.choice([0.3, 2.0]), board.whole)


def _slow(trial: Trial, board: Board, chance: random.Random) -> None:
    chance.choice([board.control, board.data]).delay_s = 0.005
    trial.later(1.0, board.whole)


def _repeat(trial: Trial, board: Board, chance: random.Random) -> None:
    chance.choice([board.control, board.data]).repeat()


def _change(trial: Trial, board: Board, chance: random.Random) -> None:
    chance.choice([board.control, board.data]).change()


#: What may happen on any link.
FAULTS: dict[str, Fault] = {
    "kill a board": _kill,
    "freeze a board": _freeze,
    "kill the host": _kill_host,
    "freeze the host": _freeze_host,
    "cut a link": _cut,
    "flap a link": _flap,
    "stop a link": _half_open,
    "slow a link": _slow,
}
#: What only encrypted links notice for sure; plain ones are for one machine alone.
SPOILING: dict[str, Fault] = {"repeat bytes": _repeat, "change a byte": _change}


def schedule(
    seed: int, steps: int, boards: Sequence[Board], number: int, *, encrypted: bool, without: Sequence[str] = ()
) -> list[tuple[int, str, Callable[[Trial], None]]]:
    """Faults at random steps to random boards, the same for the same seed; `without` those of these names."""
    chance = random.Random(seed)
    known = {name: fault for name, fault in {**FAULTS, **(SPOILING if encrypted else {})}.items() if name not in without}
    found = []
    for step in sorted(chance.randrange(1, steps) for _ in range(number)):
        name, board = chance.choice(sorted(known)), chance.choice(list(boards))
        found.append((step, f"{name} ({board.name})", _bound(known[name], board, random.Random(chance.random()))))
    return found


def _bound(fault: Fault, board: Board, chance: random.Random) -> Callable[[Trial], None]:
    return lambda trial: fault(trial, board, chance)
