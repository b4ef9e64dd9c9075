"""What is known of the boards edgebll is made for: devices/profiles/*.toml, read and checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.board_speeds import profile_folder
from edgebll.kernel.support.toml_files import read_toml
from edgebll_devices.hardware.jetpack import JetPack, check_unverified
from edgebll_devices.runtimes import RUNTIMES

_JETPACK, _ADVICE = "jetpack.toml", "install edgebll again"
#: Runtimes a profile may name, whether or not this installation has them.
_RUNTIMES = {*RUNTIMES, "tensorrt"}


@dataclass(frozen=True)
class GpuProfile:
    """A GPU that shares the board's memory: architecture, and compute capability as "8.7"."""

    architecture: str
    compute_capability: str


@dataclass(frozen=True)
class PowerMode:
    """A power mode of nvpmodel; `fastest` marks the one that limits least."""

    id: int
    name: str
    fastest: bool = False


@dataclass(frozen=True)
class Sensors:
    """Where the kernel shows power and temperature.

    Attributes:
        power_driver: names (/sys/class/hwmon/hwmon*/name) of the power monitors.
        power_rails: labels of their channels.
        temperature_zones: types of /sys/class/thermal/thermal_zone*.
        throttling: a file with flags of the firmware, or "".
    """

    power_driver: tuple[str, ...] = ()
    power_rails: tuple[str, ...] = ()
    temperature_zones: tuple[str, ...] = ()
    throttling: str = ""


@dataclass(frozen=True)
class BoardProfile:
    """One kind of board.

    Attributes:
        name: the file's name.
        title: what people call it.
        models: pieces of /proc/device-tree/model.
        compatible: entries of /proc/device-tree/compatible, for modules on other makers' carriers.
        soc: the chip.
        cpu: kind of its processor cores.
        cores: number of processor cores, one entry a variant.
        memory_gib: memory, shared with the GPU, one entry a variant.
        jetpack: names of the releases that run on it.
        gpu: None where edgebll cannot use one.
        power_mode: as shipped; the board's own /etc/nvpmodel.conf counts.
        runtime: the runtime to begin with.
        threads: threads of a training step to begin with.
        window: batches in flight to begin with.
        sources: where the facts are from.
        unverified: what no source or measurement says, as "field" or "field: part".
    """

    name: str
    title: str
    models: tuple[str, ...]
    compatible: tuple[str, ...]
    soc: str
    cpu: str
    cores: tuple[int, ...]
    memory_gib: tuple[int, ...]
    runtime: str
    threads: int
    window: int
    sources: tuple[str, ...]
    sensors: Sensors
    jetpack: tuple[str, ...] = ()
    gpu: GpuProfile | None = None
    power_mode: tuple[PowerMode, ...] = ()
    unverified: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        for what in ("models", "compatible", "cores", "memory_gib", "sources"):
            if not getattr(self, what):
                raise ConfigError(f"profile {self.name}: {what} must not be empty")
        if self.runtime not in _RUNTIMES:
            raise ConfigError(
                f"profile {self.name}: runtime must be one of {', '.join(sorted(_RUNTIMES))}, not {self.runtime!r}"
            )
        if not 1 <= self.threads <= max(self.cores) or self.window < 1:
            raise ConfigError(f"profile {self.name}: threads must be 1 to {max(self.cores)} and window at least 1")
        if len({mode.id for mode in self.power_mode}) != len(self.power_mode):
            raise ConfigError(f"profile {self.name}: two power modes have the same id")
        if self.power_mode and sum(mode.fastest for mode in self.power_mode) != 1:
            raise ConfigError(f"profile {self.name}: exactly one power mode must be marked `fastest = true`")
        check_unverified(f"profile {self.name}", self.unverified, self.__dataclass_fields__)


@dataclass(frozen=True)
class _Releases:
    release: tuple[JetPack, ...]


def load_profiles(folder: Path | None = None) -> dict[str, BoardProfile]:
    """All profiles by name, in order.

    Raises:
        ConfigError: a file cannot be read, is not TOML, has a wrong entry, another name than its file, or a JetPack unknown.
    """
    folder = folder or profile_folder()
    known = {release.name for release in load_jetpacks(folder)}
    profiles = {}
    for path in sorted(folder.glob("*.toml")):
        if path.name == _JETPACK:
            continue
        profile = read_toml(BoardProfile, path, _ADVICE)
        if profile.name != path.stem:
            raise ConfigError(f"{path} names itself {profile.name!r}; name and file must be the same")
        if not known.issuperset(profile.jetpack):
            raise ConfigError(
                f"{path}: no JetPack {min(set(profile.jetpack) - known)} in {_JETPACK}; there are {sorted(known)}"
            )
        profiles[profile.name] = profile
    return profiles


@cache
def load_jetpacks(folder: Path | None = None) -> tuple[JetPack, ...]:
    """All releases of JetPack, oldest first.

    Raises:
        ConfigError: as for `load_profiles`.
    """
    return read_toml(_Releases, (folder or profile_folder()) / _JETPACK, _ADVICE).release


def find_jetpack(linux: str, folder: Path | None = None) -> JetPack | None:
    """The release made of this version of Jetson Linux, e.g. "36.4.3"; None if there is none in the table."""
    releases = load_jetpacks(folder)
    best = max(releases, key=lambda release: release.fits(linux))
    return best if best.fits(linux) else None


def detect(root: Path = Path("/"), folder: Path | None = None) -> BoardProfile | None:
    """The profile of the board this is, by its device tree; None for any other machine.

    Args:
        root: where to look for proc/device-tree/{model,compatible}.
        folder: with the profiles; by default those of the package.
    """
    profiles = load_profiles(folder).values()
    model, compatible = device_tree(root, "model"), set(device_tree(root, "compatible").split("\0"))
    by_module = [profile for profile in profiles if compatible.intersection(profile.compatible)]
    by_name = [profile for profile in profiles if any(piece in model for piece in profile.models)]
    return next(iter(by_module + by_name), None)


def device_tree(root: Path, entry: str) -> str:
    """Text of an entry of the device tree without its final NUL; empty where there is none."""
    try:
        return (root / "proc" / "device-tree" / entry).read_bytes().decode("utf-8", "replace").rstrip("\0\n")
    except OSError:
        return ""
