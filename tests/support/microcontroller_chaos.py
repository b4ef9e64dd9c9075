"""Seeded faults for pipelines over microcontrollers: they lose their power, their lines spoil bytes and vanish for seconds."""

from __future__ import annotations

import contextlib
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from support.chaos import FAULTS
from support.chaos_boards import HOST_DEADLINE_S, LIMIT_S, Board
from support.chaos_trial import Trial
from support.firmware_processes import FirmwareProcess
from support.noisy_line import NoisyLine

Fault = Callable[[Trial, "MicrocontrollerBoard", random.Random], None]
#: Chance that a piece of what goes over a noisy line is spoilt.
_NOISE = 0.05


class MicrocontrollerBoard(Board):
    """An agent with a microcontroller behind a line that can be spoilt. `close` ends them.

    Args:
        name: of the board.
        folder: of the board.
        kind: of microcontroller, as `edgebll firmware boards` names it.
        seed: decides what the line does.
    """

    def __init__(self, name: str, folder: Path, kind: str, seed: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._devices = contextlib.ExitStack()
        self.firmware = self._devices.enter_context(FirmwareProcess(folder / "chip", kind))
        self.port = folder / "port"
        self.line = self._devices.enter_context(NoisyLine(self.port, str(self.firmware.path), seed, 0.0))
        self._away = folder / "away"
        super().__init__(name, folder, ("--serial", self.line.address))

    def vanish(self) -> None:
        """Pull the plug of its line."""
        if self.port.exists():
            self.port.rename(self._away)
        self.line.cut()

    def noise(self, rate: float) -> None:
        """Let the line spoil bytes, in both directions."""
        self.line.to_board.rate = self.line.from_board.rate = rate

    def whole(self) -> None:
        """See Board."""
        self.noise(0.0)
        self.firmware.send(signal.SIGCONT)
        if self._away.exists():
            self._away.rename(self.port)
        super().whole()

    def close(self) -> None:
        """See Board."""
        super().close()
        self._devices.close()


def _lose_power(trial: Trial, board: MicrocontrollerBoard, chance: random.Random) -> None:
    board.firmware.restart()


def _hang(trial: Trial, board: MicrocontrollerBoard, chance: random.Random) -> None:
    board.firmware.send(signal.SIGSTOP)
    trial.later(chance.choice([0.3, 2.0, 6.0]), board.whole)  # within what its link waits for, and beyond it


def _vanish(trial: Trial, board: MicrocontrollerBoard, chance: random.Random) -> None:
    board.vanish()
    trial.later(chance.choice([0.2, 2.0, 6.0]), board.whole)


def _cut(trial: Trial, board: MicrocontrollerBoard, chance: random.Random) -> None:
    board.line.cut()


def _spoil(trial: Trial, board: MicrocontrollerBoard, chance: random.Random) -> None:
    board.noise(_NOISE)
    trial.later(chance.choice([0.5, 2.0]), board.whole)


def _vanish_without_power(trial: Trial, board: MicrocontrollerBoard, chance: random.Random) -> None:
    board.vanish()
    board.firmware.restart()
    trial.later(1.0, board.whole)


#: What may happen to microcontrollers; to the agents that host them, and to the host, of `chaos.FAULTS`, these.
DEVICE_FAULTS: dict[str, Fault] = {
    "take the power": _lose_power,
    "hang": _hang,
    "unplug": _vanish,
    "cut the line": _cut,
    "spoil the line": _spoil,
    "unplug and take the power": _vanish_without_power,
}
OTHERS = ("kill the host", "kill a board")
#: Two blocks share a microcontroller.
_PLACEMENT = {"chip0": ["block0", "block1"], "chip1": ["block2"], "linux": ["block3"]}


def schedule(seed: int, steps: int, boards: Sequence[Board], number: int) -> list[tuple[int, str, Callable[[Trial], None]]]:
    """Faults at random steps, the first to a microcontroller, the same for the same seed.

    Args:
        seed: decides.
        steps: of the run.
        boards: of the cluster, of which at least one has a microcontroller.
        number: of faults.
    """
    chance = random.Random(seed)
    devices = [board for board in boards if isinstance(board, MicrocontrollerBoard)]
    found: list[tuple[int, str, Callable[[Trial], None]]] = []
    for place, step in enumerate(sorted(chance.randrange(1, steps) for _ in range(number))):
        own = random.Random(chance.random())
        name = chance.choice(sorted(DEVICE_FAULTS) + (3 * list(OTHERS) if place else []))
        if name in DEVICE_FAULTS:
            device = chance.choice(devices)
            found.append((step, f"{name} ({device.name})", _to_device(DEVICE_FAULTS[name], device, own)))
        else:
            board = chance.choice(list(boards))
            found.append((step, f"{name} ({board.name})", _to_board(name, board, own)))
    return found


def _to_device(fault: Fault, device: MicrocontrollerBoard, chance: random.Random) -> Callable[[Trial], None]:
    return lambda trial: fault(trial, device, chance)


def _to_board(name: str, board: Board, chance: random.Random) -> Callable[[Trial], None]:
    return lambda trial: FAULTS[name](trial, board, chance)


@contextlib.contextmanager
def mixed_boards(folder: Path, kind: str) -> Iterator[tuple[list[Board], Path]]:
    """Two boards with a microcontroller and one without, which computes with the same bits, for four blocks; and cluster.toml.

    Args:
        folder: for all of it.
        kind: of microcontroller.
    """
    folder.mkdir(parents=True)
    tables = f"[host]\ndeadline_s = {HOST_DEADLINE_S}\npatience_s = {LIMIT_S}\n"
    with contextlib.ExitStack() as stack:
        made: list[Board] = []
        for number, (name, blocks) in enumerate(_PLACEMENT.items()):
            place = folder / name
            board = MicrocontrollerBoard(name, place, kind, number) if name != "linux" else Board(name, place, ())
            stack.callback(board.close)
            made.append(board)
            runtime = "ordered" if name == "linux" else "serial"
            tables += f'[[board]]\nname = "{name}"\nendpoint = "{board.endpoint}"\nruntime = "{runtime}"\nblocks = {blocks}\n'
        (folder / "cluster.toml").write_text(tables)
        yield made, folder / "cluster.toml"
