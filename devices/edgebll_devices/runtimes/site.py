"""What a runtime may use of the place it is loaded in: someone to tell of long work, a way to be stopped, a cache folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from edgebll.errors import BoardError
from edgebll.files import xdg_base

_log = logging.getLogger(__name__)


class LoadHalted(BoardError):  # noqa: N818  (what happened is no error of the board)
    """Loading a block was stopped because nobody waits for it any longer."""


def default_engine_dir() -> Path:
    """Where built engines are kept: $EDGEBLL_ENGINES, else $XDG_CACHE_HOME/edgebll/engines, else ~/.cache/edgebll/engines."""
    named = os.environ.get("EDGEBLL_ENGINES")
    if named:
        return Path(named)
    return xdg_base("XDG_CACHE_HOME", ".cache") / "edgebll" / "engines"


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Site:
    """Where a block is loaded.

    Attributes:
        say: takes a sentence about long work that goes on, every few seconds. halted: whether to stop loading.
        engine_dir: folder for engines built on this machine.
    """

    say: Callable[[str], None] = _log.info
    halted: Callable[[], bool] = _never
    engine_dir: Path = field(default_factory=default_engine_dir)

    def check(self) -> None:
        """Raise LoadHalted if loading is to stop."""
        if self.halted():
            raise LoadHalted("loading was stopped: the run is over")
