"""What a runtime may use of the place it is loaded in: someone to tell of long work, a way to be stopped, a cache folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from edgebll.kernel.errors import BoardError
from edgebll.kernel.support.user_folders import find_home, given_base, xdg_base

_log = logging.getLogger(__name__)

#: Environment variable with the ports of microcontrollers, separated by spaces.
SERIAL_PORTS = "EDGEBLL_SERIAL"


class LoadHalted(BoardError):  # noqa: N818  (what happened is no error of the board)
    """Loading a block was stopped because nobody waits for it any longer."""


def default_engine_dir(state_dir: Path | None = None) -> Path:
    """Where built engines are kept: $EDGEBLL_ENGINES, else $XDG_CACHE_HOME/edgebll/engines, else ~/.cache/edgebll/engines.

    Args:
        state_dir: of the board; takes them where there is no home folder.

    Raises:
        StorageError: there is no home folder, and nothing can be put in its place.
    """
    named = os.environ.get("EDGEBLL_ENGINES")
    if named:
        return Path(named)
    if state_dir is not None and given_base("XDG_CACHE_HOME") is None and find_home() is None:
        return state_dir / "engines"
    return xdg_base("XDG_CACHE_HOME", ".cache") / "edgebll" / "engines"


def default_serial_port() -> str:
    """The port of the microcontroller that the runtime "serial" uses unless told otherwise: the first of $EDGEBLL_SERIAL."""
    return os.environ.get(SERIAL_PORTS, "").split(" ")[0]


def _never() -> bool:
    return False


@dataclass(frozen=True)
class LoadContext:
    """Where a block is loaded.

    Attributes:
        say: takes a sentence about long work that goes on, every few seconds.
        halted: whether to stop loading.
        engine_dir: folder for engines built on this machine; None for the default one.
        state_dir: of the board, if it is one.
        serial_port: of the microcontroller, for the runtime "serial"; empty if there is none.
    """

    say: Callable[[str], None] = _log.info
    halted: Callable[[], bool] = _never
    engine_dir: Path | None = None
    state_dir: Path | None = None
    serial_port: str = field(default_factory=default_serial_port)

    @property
    def engines(self) -> Path:
        """Folder for engines, which only runtimes that build some need.

        Raises:
            StorageError: there is no place for them.
        """
        return self.engine_dir or default_engine_dir(self.state_dir)

    def check(self) -> None:
        """Raise LoadHalted if loading is to stop."""
        if self.halted():
            raise LoadHalted("loading was stopped: the run is over")
