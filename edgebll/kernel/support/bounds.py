"""Numbers that lie within bounds: one checker, whether they come from a command line, a file or a Python program."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from numbers import Integral
from typing import Any

from edgebll.kernel.errors import ConfigError


class WrongValue(ConfigError):  # noqa: N818  (its base class ends in Error)
    """An option has a value that it cannot have.

    Args:
        name: of the option, as Python spells it, or what the number is, in words.
        problem: the rest of the sentence.
    """

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name} {problem}")
        self.name, self.problem = name, problem


@dataclass(frozen=True)
class Bounds:
    """What a number may be.

    Attributes:
        unit: what it counts, e.g. "seconds"; empty for a bare number.
        least: the smallest one.
        below: what it must be less than; None for no such bound.
        above: whether `least` itself is too small.
        note: what a bound means, e.g. "two heartbeats".
        far: what it must be less than as well, so that it fits wherever it goes; told of only where it does not.
        whole: whether it counts things.
    """

    unit: str
    least: float
    below: float | None = None
    above: bool = False
    note: str = ""
    far: float | None = None
    whole: bool = False

    def check(self, name: str, value: float) -> None:
        """Refuse a number beyond the bounds, and what is none (NaN).

        Args:
            name: of the option, as Python spells it, e.g. "snapshot_seconds", or what the number is, e.g. "the learning rate".
            value: the number.

        Raises:
            WrongValue: it is beyond them.
        """
        if self.whole and not is_whole(value):
            raise WrongValue(name, f"must be a whole number, not {value!r}")
        enough = value > self.least if self.above else value >= self.least
        if not enough or not (self.below is None or value < self.below):
            raise WrongValue(name, f"must be {self}, not {_number(value)}")
        if self.far is not None and not value < self.far:
            raise WrongValue(name, f"must be less than {_number(self.far)}, not {_number(value)}")

    def __str__(self) -> str:
        unit = f"a number of {self.unit}, " if self.unit else ""
        note = f" ({self.note})" if self.note else ""
        most = f" and less than {_number(self.below)}" if self.below is not None else ""
        return f"{unit}{'above' if self.above else 'at least'} {_number(self.least)}{note}{most}"


#: Sizes and counts of more than this fit no axis of a tensor in all runtimes, nor a step number in all files.
FAR = 1 << 31
#: Numbers of more digits are written short.
_DIGITS = 15

#: Silence after which a board counts as lost: it must be able to miss one heartbeat. And one that a board forgives its host.
DEADLINE = Bounds("seconds", 1.0, 1e6, note="two heartbeats")
HOST_SILENCE = Bounds("seconds", 0.0, 1e6, above=True)
#: How long a run may recover without progress, and how long a board that is to end works on.
PATIENCE = Bounds("seconds", 0.0, 1e9, note="no recovery")
LEAVING = Bounds("seconds", 0.0, 1e6, note="not at all")
SNAPSHOT_SECONDS = Bounds("seconds", 0.0, 1e9, note="none by the clock")
KEEP_SNAPSHOTS = Bounds("", 1, far=FAR, whole=True)
GIB_PER_DAY = Bounds("GiB", 0.0, 1e6, note="no limit")
MEMORY_MIB = Bounds("MiB", 0, 1 << 30, note="no check")
THREADS = Bounds("", 1, 1025, whole=True)
#: Of a board beside another one.
SPEED = Bounds("", 0.0, 1e6, above=True)
WINDOW = Bounds("", 1, far=FAR, whole=True)
LOCAL_BOARDS = Bounds("", 0, 65536, note="all blocks in this process", whole=True)
NOT_NEGATIVE = Bounds("", 0, far=FAR, whole=True)
SEED = Bounds("", 0, 1 << 32, whole=True)
#: Whatever an option of a network, rule, optimiser or data means: seeds are the largest whole numbers, computing is float32.
OPTION_INT = Bounds("", -(1 << 32), far=1 << 32)
OPTION_FLOAT = Bounds("", -3e38, far=3e38)
#: Seeds of a table are trained one after another, and processes side by side.
SEEDS = Bounds("", 1, far=1 << 20, whole=True)
PROCESSES = Bounds("", 1, 1025, whole=True)
COUNT = Bounds("", 1, far=FAR, whole=True)
#: Rates are float32 on boards.
LEARNING_RATE = Bounds("", 0.0, above=True, far=3e38)


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number, of Python or numpy; a truth value is none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def check_whole_options(owner: str, options: Any) -> None:
    """Refuse what is no whole number for a field of a dataclass that holds one; its default is its author's business.

    Args:
        owner: whose options they are, for messages, e.g. "sgd".
        options: the dataclass.

    Raises:
        ConfigError: there is one.
    """
    for one in fields(options):
        value = getattr(options, one.name)
        if one.type in ("int", int) and value is not one.default and not is_whole(value):
            raise ConfigError(f"{owner}'s {one.name} must be a whole number, not {value!r}")


@contextlib.contextmanager
def spelled_as_options() -> Iterator[None]:
    """Name options with wrong values as the command line spells them."""
    try:
        yield
    except WrongValue as error:
        if not error.name.isidentifier():  # in words
            raise
        raise ConfigError(f"--{error.name.replace('_', '-')} {error.problem}") from error


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(value) if abs(value) < 10**_DIGITS * 10**_DIGITS else "one of very many digits"
    return f"{value:.0f}" if value.is_integer() and abs(value) < 10**_DIGITS else f"{value:g}"
