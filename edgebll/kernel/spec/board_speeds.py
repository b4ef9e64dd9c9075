"""What kinds of boards compute, carry and draw: devices/profiles/speeds/*.toml, one a kind, read and checked.

`profile = "orin-nano"` in an inventory names one of them. They are estimates from data sheets and published measurements, to
place blocks and to predict before anything was measured; `unverified` names what no source says.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.support.toml_files import read_toml

_ADVICE = "install edgebll again"
_NEAR = 3


@dataclass(frozen=True)
class ProcessorRate:
    """How fast one kind of processor of a board computes.

    Attributes:
        gflops: billions of float32 operations a second, a multiplication and its addition being two; of all cores, in the
            fastest mode, as its source counts it.
        reached: the share of it that training steps reach.
        cores: processor cores it takes; 0 for a GPU.
    """

    gflops: float
    reached: float
    cores: int = 0


@dataclass(frozen=True)
class ModeDraw:
    """A power mode: its name, what the board draws idle and busy (watts), and the share of its fastest speed it has."""

    name: str
    idle_watts: float
    busy_watts: float
    speed: float = 1.0


@dataclass(frozen=True)
class BoardSpeeds:
    """One kind of board.

    Attributes:
        name: the file's name, and what `profile` in an inventory says.
        title: what people call it.
        memory_mib: all its memory.
        gigabytes_per_second: between memory and processors, 10^9 bytes.
        mode: power modes, the fastest first.
        sources: where the numbers are from.
        cpu: its processor cores; None where no number is known.
        gpu: its GPU; None where there is none that edgebll uses, or no number.
        unverified: numbers that no source says, as "field" or "field: part".
    """

    name: str
    title: str
    memory_mib: float
    gigabytes_per_second: float
    mode: tuple[ModeDraw, ...]
    sources: tuple[str, ...]
    cpu: ProcessorRate | None = None
    gpu: ProcessorRate | None = None
    unverified: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        numbers = [("memory_mib", self.memory_mib), ("gigabytes_per_second", self.gigabytes_per_second)]
        numbers += [(f"gflops of its {kind}", rate.gflops) for kind, rate in (("cpu", self.cpu), ("gpu", self.gpu)) if rate]
        numbers += [(f"speed of {mode.name}", mode.speed) for mode in self.mode]
        for what, number in numbers:
            if not number > 0:
                raise ConfigError(f"profile {self.name}: {what} must be above 0, not {number:g}")
        for rate in (self.cpu, self.gpu):
            if rate is not None and not 0 < rate.reached <= 1:
                raise ConfigError(f"profile {self.name}: reached must be above 0 and at most 1, not {rate.reached:g}")
        for mode in self.mode:
            if not 0 <= mode.idle_watts <= mode.busy_watts:
                raise ConfigError(f"profile {self.name}: mode {mode.name} must draw at least 0 W idle and no less when busy")
        if not self.mode or not self.sources:
            raise ConfigError(f"profile {self.name} needs at least one [[mode]] and one source")
        for entry in self.unverified:
            if entry.split(":")[0] not in self.__dataclass_fields__:
                raise ConfigError(f"profile {self.name}: unverified names no field: {entry}")

    def in_mode(self, name: str) -> ModeDraw:
        """The power mode with this name; the fastest for "".

        Raises:
            ConfigError: there is none.
        """
        found = {mode.name: mode for mode in self.mode}
        if name and name not in found:
            raise ConfigError(f"profile {self.name} has no power mode {name!r}, only {', '.join(found)}")
        return found[name] if name else self.mode[0]

    def rate_of(self, runtime: str) -> ProcessorRate:
        """The processors that a runtime computes on.

        Raises:
            ConfigError: the profile has no number of them.
        """
        on_gpu = runtime in GPU_RUNTIMES
        found = self.gpu if on_gpu else self.cpu
        if found is None:
            what = "GPU" if on_gpu else "processor cores"
            raise ConfigError(
                f"profile {self.name} has no number for its {what}, which the runtime {runtime!r} uses; choose another runtime "
                "or profile, or calibrate the board"
            )
        return found


#: Runtimes that compute on a GPU.
GPU_RUNTIMES = ("tensorrt", "onnxruntime-cuda", "onnxruntime-tensorrt")


def profile_folder() -> Path:
    """The folder with what is known of boards: in the installed package, or beside it in a checkout."""
    root = Path(__file__).parents[3]
    installed = root / "edgebll_devices" / "profile_data"
    return installed if installed.is_dir() else root / "devices" / "profiles"


@cache
def load_speeds(folder: Path | None = None) -> dict[str, BoardSpeeds]:
    """All kinds of boards whose speed is known, by name, in order.

    Args:
        folder: with the files; by default those of the package.

    Raises:
        ConfigError: a file is not TOML, has a wrong entry or number, or names itself otherwise.
    """
    found = {}
    for path in sorted((folder or profile_folder() / "speeds").glob("*.toml")):
        speeds = read_toml(BoardSpeeds, path, _ADVICE)
        if speeds.name != path.stem:
            raise ConfigError(f"{path} names itself {speeds.name!r}; name and file must be the same")
        found[speeds.name] = speeds
    return found


def speeds_of(name: str) -> BoardSpeeds:
    """The kind of board with this name.

    Raises:
        ConfigError: there is none; names that are near are told.

    Examples:
        >>> from edgebll.kernel.spec.board_speeds import speeds_of
        >>> speeds_of("orin-nano").gigabytes_per_second
        102.0
    """
    known = load_speeds()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, _NEAR, 0.5) or list(known)
    raise ConfigError(f"there is no board profile {name!r}; did you mean {', '.join(near)}?")
