"""What happens to boards of a run in virtual time: outages by a schedule or by chance, boards that join or are drained."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from edgebll.kernel.support.bounds import WrongValue
from edgebll_firmware_host.simulation.block_costs import NEVER, nanoseconds

_UNITS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_TIME = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|min|h|d)")
_KILL = "kill:"


@dataclass(frozen=True)
class Outage:
    """A board is gone for a while.

    Attributes:
        board: its name.
        from_ns: since when, from the start of training.
        back_ns: until when; NEVER for good.
        silent: whether nobody says so, as where its power is cut; else its connections break at once, as those of a process do
            that is killed.
    """

    board: str
    from_ns: int
    back_ns: int = NEVER
    silent: bool = True


@dataclass(frozen=True)
class Incidents:
    """All that happens.

    Attributes:
        outages: by schedule.
        joins: board -> when it is added, nanoseconds.
        drains: board -> when it is drained.
        mean_life_s: of a board until it fails by chance; None for never.
        life_shape: of the Weibull distribution of lives: 1 for failures at any age alike, less for early ones, more for wear.
        repair_s: until such a board is back; None for never.
    """

    outages: tuple[Outage, ...] = ()
    joins: Mapping[str, int] = field(default_factory=dict)
    drains: Mapping[str, int] = field(default_factory=dict)
    mean_life_s: float | None = None
    life_shape: float = 1.0
    repair_s: float | None = None


def duration_s(option: str, text: str) -> float:
    """Seconds of a text such as 90s, 2.5min or 4h.

    Args:
        option: what it is of, for the message.
        text: a number and a unit: ms, s, min, h or d.

    Raises:
        WrongValue: it is none.
    """
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise WrongValue(option, f"must have times such as 90s, 2.5min or 4h, not {text!r}")
    return float(found[1]) * _UNITS[found[2]]


def outage(text: str) -> Outage:
    """An outage as it is typed: BOARD@TIME, BOARD@TIME+DURATION if it comes back, kill:BOARD@TIME if its process is killed.

    Raises:
        WrongValue: it is none.
    """
    silent = not text.startswith(_KILL)
    board, at_s, for_s = _at("fail", text.removeprefix(_KILL))
    back_ns = NEVER if for_s is None else nanoseconds(at_s + for_s)
    return Outage(board, nanoseconds(at_s), back_ns, silent)


def moments(option: str, texts: Iterable[str]) -> dict[str, int]:
    """Boards and when something happens to them, as it is typed: BOARD@TIME.

    Raises:
        WrongValue: one is none, or a board is named twice.
    """
    found: dict[str, int] = {}
    for text in texts:
        board, at_s, for_s = _at(option, text)
        if for_s is not None:
            raise WrongValue(option, f"must be BOARD@TIME, without a duration, not {text!r}")
        if board in found:
            raise WrongValue(option, f"names {board} twice; once is enough")
        found[board] = nanoseconds(at_s)
    return found


def _at(option: str, text: str) -> tuple[str, float, float | None]:
    board, at, times = text.rpartition("@")
    begin, plus, lasts = times.partition("+")
    if not board or not at:
        raise WrongValue(option, f"must be BOARD@TIME, e.g. board3@120s, not {text!r}")
    return board, duration_s(option, begin), duration_s(option, lasts) if plus else None


class Fates:
    """When boards fail and come back: a function of incidents, seed and board alone.

    Args:
        incidents: what happens.
        boards: all names, in an order that stays.
        seed: of the run in virtual time.
    """

    def __init__(self, incidents: Incidents, boards: Sequence[str], seed: int) -> None:
        self._incidents, self._seed = incidents, seed
        self._numbers = {name: number for number, name in enumerate(boards)}
        self._random: dict[str, np.random.RandomState] = {}
        self._known: dict[str, list[Outage]] = {name: [] for name in boards}
        for one in sorted(incidents.outages, key=lambda each: each.from_ns):
            self._known[one.board].append(one)

    def outage_at(self, board: str, at_ns: int) -> Outage | None:
        """The outage a board is in."""
        return next((one for one in self._until(board, at_ns) if one.from_ns <= at_ns < one.back_ns), None)

    def next_outage(self, board: str, after_ns: int) -> Outage | None:
        """A board's first outage that begins after `after_ns`."""
        reach_ns = after_ns
        while True:
            found = next((one for one in self._until(board, reach_ns) if one.from_ns > after_ns), None)
            if found is not None or self._over(board):
                return found
            reach_ns = self._known[board][-1].back_ns

    def _over(self, board: str) -> bool:
        known = self._known[board]
        return self._incidents.mean_life_s is None or bool(known and known[-1].back_ns >= NEVER)

    def _until(self, board: str, at_ns: int) -> list[Outage]:
        """All outages that begin by `at_ns`, and the next one; what chance brings begins after the schedule's last one."""
        known = self._known[board]
        while not self._over(board) and not (known and known[-1].from_ns > at_ns):
            back_s = known[-1].back_ns / 1e9 if known else 0.0
            fails_s = back_s + self._life_s(board)
            repair_s = self._incidents.repair_s
            back_ns = NEVER if repair_s is None else nanoseconds(fails_s + repair_s)
            known.append(Outage(board, nanoseconds(fails_s), back_ns))
        return known

    def _life_s(self, board: str) -> float:
        """A life drawn from a Weibull distribution of the mean that is wanted."""
        random = self._random.setdefault(board, np.random.RandomState([self._seed, 3, self._numbers[board]]))
        shape, mean_s = self._incidents.life_shape, self._incidents.mean_life_s or 0.0
        scale_s = mean_s / math.gamma(1 + 1 / shape)
        return float(scale_s * (-math.log1p(-random.random_sample())) ** (1 / shape))
