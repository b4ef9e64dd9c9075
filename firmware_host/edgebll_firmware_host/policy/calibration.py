"""What was measured of the boards and links of a cluster: calibration.toml, beside its inventory.

date = "2026-12-01T10:00:00+00:00"    # when, ISO 8601
conditions = "idle, 24 C"             # in words
release = "0.12.0"                    # of edgebll

[[board]]
name = "orin-1"                       # as the inventory has it
power_mode = "25W"                    # as it was then; empty where it has none
step_overhead_s = 0.0003              # of a training step, however small
message_s = 0.0001                    # processor time to send or receive a message
message_s_per_byte = 2e-10
idle_watts = 4.1                      # both or neither
busy_watts = 17.9

[[rate]]                              # of fixed shapes, to predict other bundles
board = "orin-1"
runtime = "onnxruntime"
precision = "float32"
threads = 4
gflops = 48.0                         # 10^9 operations a second; a multiplication and its addition are two
gigabytes_per_second = 11.0           # 10^9 bytes, read and written

[[step]]                              # of one bundle's blocks
board = "orin-1"
bundle = "6f2c..."                    # SHA-256 of its manifest.json
block = "block0"
runtime = "onnxruntime"
threads = 4
seconds = 0.0123                      # median
spread = 0.03                         # standard deviation from step to step, relative

[[link]]                              # one way
sender = "orin-1"                     # a board or "host"
receiver = "orin-2"
latency_s = 0.0004
bytes_per_s = 1.1e7
jitter_s = 0.0001
loss = 0.0
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.edge_check import HOST
from edgebll.kernel.support.toml_files import read_toml

#: Beside cluster.toml.
CALIBRATION = "calibration.toml"
_ADVICE = "remove the file and calibrate again"


@dataclass(frozen=True)
class BoardMeasured:
    """What a board takes whatever it computes; names, units and meaning as in the file."""

    name: str
    power_mode: str = ""
    step_overhead_s: float = 0.0
    message_s: float = 0.0
    message_s_per_byte: float = 0.0
    idle_watts: float | None = None
    busy_watts: float | None = None

    def __post_init__(self) -> None:
        where = f"board {self.name}"
        for what in ("step_overhead_s", "message_s", "message_s_per_byte"):
            _check(where, what, getattr(self, what), zero=True)
        if (self.idle_watts is None) != (self.busy_watts is None):
            raise ConfigError(f"calibration of {where} needs both idle_watts and busy_watts, or neither; {_ADVICE}")
        if self.idle_watts is not None and self.busy_watts is not None and not 0 <= self.idle_watts <= self.busy_watts:
            raise ConfigError(f"calibration of {where}: idle_watts must be at least 0 and at most busy_watts; {_ADVICE}")


@dataclass(frozen=True)
class RateMeasured:
    """How fast a board computes and moves data with a runtime, precision and number of threads."""

    board: str
    runtime: str
    precision: str
    threads: int
    gflops: float
    gigabytes_per_second: float

    def __post_init__(self) -> None:
        for what in ("gflops", "gigabytes_per_second"):
            _check(f"a rate of {self.board}", what, getattr(self, what))


@dataclass(frozen=True)
class StepMeasured:
    """How long the training step of a bundle's block takes on a board."""

    board: str
    bundle: str
    block: str
    runtime: str
    threads: int
    seconds: float
    spread: float = 0.0

    def __post_init__(self) -> None:
        where = f"{self.block} on {self.board}"
        _check(where, "seconds", self.seconds)
        _check(where, "spread", self.spread, zero=True)


@dataclass(frozen=True)
class LinkMeasured:
    """What a link does, one way."""

    sender: str
    receiver: str
    latency_s: float
    bytes_per_s: float
    jitter_s: float = 0.0
    loss: float = 0.0

    def __post_init__(self) -> None:
        where = f"the link from {self.sender} to {self.receiver}"
        _check(where, "bytes_per_s", self.bytes_per_s)
        for what in ("latency_s", "jitter_s", "loss"):
            _check(where, what, getattr(self, what), zero=True)
        if self.loss >= 1:
            raise ConfigError(f"calibration of {where}: loss must be below 1, not {self.loss:g}; {_ADVICE}")


@dataclass(frozen=True)
class Calibration:
    """All that was measured, and when, how and with which release.

    Raises:
        ConfigError: something was measured twice.
    """

    date: str
    conditions: str = ""
    release: str = ""
    board: tuple[BoardMeasured, ...] = ()
    rate: tuple[RateMeasured, ...] = ()
    step: tuple[StepMeasured, ...] = ()
    link: tuple[LinkMeasured, ...] = ()

    def __post_init__(self) -> None:
        _check_once("board", (one.name for one in self.board))
        _check_once("rate", ((one.board, one.runtime, one.precision, one.threads) for one in self.rate))
        _check_once("step", ((one.board, one.bundle, one.block, one.runtime, one.threads) for one in self.step))
        _check_once("link", ((one.sender, one.receiver) for one in self.link))

    def check_boards(self, boards: Collection[str]) -> None:
        """Refuse what was measured of boards that an inventory does not have.

        Args:
            boards: their names.

        Raises:
            ConfigError: there is such a board.
        """
        told = [one.name for one in self.board] + [one.board for one in self.rate] + [one.board for one in self.step]
        told += [end for one in self.link for end in (one.sender, one.receiver) if end != HOST]
        strange = sorted(set(told) - set(boards))
        if strange:
            raise ConfigError(
                f"{CALIBRATION} tells of the board {strange[0]!r}, but the inventory has {', '.join(boards)}; {_ADVICE}"
            )


def load_calibration(path: Path | str) -> Calibration:
    """Read calibration.toml.

    Args:
        path: of the file.

    Raises:
        ConfigError: it cannot be read, is not TOML, or has an unknown, missing or wrong entry.
    """
    return read_toml(Calibration, Path(path), _ADVICE)


def calibration_beside(inventory: Path | str) -> Calibration | None:
    """What lies beside an inventory; None where there is nothing.

    Args:
        inventory: path of cluster.toml.

    Raises:
        ConfigError: as `load_calibration`.
    """
    path = Path(inventory).with_name(CALIBRATION)
    return load_calibration(path) if path.exists() else None


def _check(where: str, what: str, number: float, *, zero: bool = False) -> None:
    good = 0 <= number < float("inf") if zero else 0 < number < float("inf")
    if not good:
        least = "at least 0" if zero else "above 0"
        raise ConfigError(f"calibration of {where}: {what} must be {least} and finite, not {number:g}; {_ADVICE}")


def _check_once(what: str, keys: Iterable[Hashable]) -> None:
    seen: set[Hashable] = set()
    for key in keys:
        if key in seen:
            named = key if isinstance(key, str) else ", ".join(map(str, key)) if isinstance(key, tuple) else str(key)
            raise ConfigError(f"{CALIBRATION} has two [[{what}]] of {named}; {_ADVICE}")
        seen.add(key)
