"""A board as `doctor` sees it: its files and what is asked of its system."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgebll_devices.hardware.jetpack import JetPack
    from edgebll_devices.hardware.profiles import BoardProfile


def _importable(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _usable(path: Path) -> bool:
    return os.access(path, os.R_OK | os.W_OK)


def _free_bytes(path: Path) -> int:
    return shutil.disk_usage(path).free


@dataclass(frozen=True)
class BoardProbe:
    """What the checks look at, so that a test can hand in a folder for a machine.

    Attributes:
        root: the file system.
        python: version of the interpreter.
        environment: its folder.
        key: the board's key file, or None for $EDGEBLL_KEY, else /etc/edgebll/board.key.
        importable: whether a module is installed.
        usable: whether a file may be read and written.
        free_bytes: free space of the disk a path lies on.
        now: the time, in seconds since 1970.
    """

    root: Path = Path("/")
    python: tuple[int, int] = sys.version_info[:2]
    environment: str = sys.prefix
    key: Path | None = None
    importable: Callable[[str], bool] = _importable
    usable: Callable[[Path], bool] = _usable
    free_bytes: Callable[[Path], int] = _free_bytes
    now: Callable[[], float] = field(default=time.time)

    def text(self, name: str) -> str:
        """Content of a file below the root; empty where it cannot be read."""
        try:
            return (self.root / name).read_text(encoding="utf-8", errors="replace").strip("\0\n ")
        except OSError:
            return ""

    def find(self, *patterns: str) -> list[Path]:
        """Files below the root that match one of the patterns."""
        return [path for pattern in patterns for path in sorted(self.root.glob(pattern))]

    def profile(self) -> BoardProfile | None:
        """What is known of this kind of board."""
        from edgebll_devices.hardware.profiles import detect

        return detect(self.root)

    def jetson_linux(self) -> str | None:
        """Version of Jetson Linux; None on other machines."""
        from edgebll_devices.hardware.jetpack import jetson_linux

        return jetson_linux(self.root)

    def jetpack(self) -> JetPack | None:
        """The release of JetPack; None where there is none, or none that is known."""
        from edgebll_devices.hardware.profiles import find_jetpack

        linux = self.jetson_linux()
        return find_jetpack(linux) if linux else None
