"""Which JetPack a Jetson runs, from what its system says about itself."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass
from pathlib import Path

from edgebll.kernel.errors import ConfigError

#: First line of /etc/nv_tegra_release, e.g. "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic..."
_RELEASE = re.compile(r"# R(\d+) \(release\), REVISION: ([\d.]+)")
#: The version of the package nvidia-l4t-core in dpkg's database, e.g. "36.4.3-20250107174145".
_PACKAGE = re.compile(r"^Package: nvidia-l4t-core$(?:\n(?!Package:).*)*?\nVersion: ([\d.]+)", re.MULTILINE)
_VERSION = re.compile(r"\d+\.\d+")


def check_unverified(where: str, unverified: Iterable[str], fields: Container[str]) -> None:
    """Raise ConfigError unless every entry, "field" or "field: which part", begins with one of the fields."""
    for entry in unverified:
        if entry.split(":")[0] not in fields:
            raise ConfigError(f"{where}: unverified names no field: {entry}")


@dataclass(frozen=True)
class JetPack:
    """A release of JetPack.

    Attributes:
        name: e.g. "6.2".
        linux: beginnings of the versions of Jetson Linux it is made of.
        ubuntu: version of Ubuntu, e.g. "22.04".
        cuda: version of CUDA, e.g. "12.6".
        tensorrt: version of TensorRT, e.g. "10.3".
        python: Ubuntu's CPython, which the TensorRT module is made for.
        target: what to export for.
        sources: where from.
        unverified: what no source says, as "field" or "field: which part".
    """

    name: str
    linux: tuple[str, ...]
    ubuntu: str
    python: str
    cuda: str
    tensorrt: str
    target: str
    sources: tuple[str, ...]
    unverified: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for what in ("name", "ubuntu", "python", "cuda", "tensorrt"):
            if not _VERSION.fullmatch(getattr(self, what)):
                raise ConfigError(f"JetPack {self.name}: {what} must be a version such as 6.2, not {getattr(self, what)!r}")
        if not self.linux or not self.sources:
            raise ConfigError(f"JetPack {self.name} needs at least one version of Jetson Linux and one source")
        check_unverified(f"JetPack {self.name}", self.unverified, self.__dataclass_fields__)

    @property
    def generation(self) -> int:
        """The major version: 5, 6 or 7."""
        return int(self.name.split(".")[0])

    def fits(self, linux: str) -> int:
        """How many characters of a version of Jetson Linux this release matches; 0 if it is another one."""
        return max((len(start) for start in self.linux if f"{linux}.".startswith(start.rstrip(".") + ".")), default=0)


def jetson_linux(root: Path = Path("/")) -> str | None:
    """Version of Jetson Linux, e.g. "36.4.3"; None where the system is no Jetson's.

    Args:
        root: where to look for etc/nv_tegra_release and var/lib/dpkg/status.
    """
    found = _RELEASE.search(_text(root / "etc" / "nv_tegra_release"))
    if found:
        return f"{found[1]}.{found[2]}"
    package = _PACKAGE.search(_text(root / "var" / "lib" / "dpkg" / "status"))
    return package[1] if package else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
