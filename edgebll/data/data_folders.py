"""Folders in which files of data sets are looked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from edgebll.kernel.support.user_folders import xdg_base

#: Where Debian and its descendants put data sets.
SYSTEM_DIR = Path("/usr/share/datasets")


def data_folders() -> Iterator[Path]:
    """EDGEBLL_DATA if it is set, the user's data folder, the system's."""
    given = os.environ.get("EDGEBLL_DATA")
    if given:
        yield Path(given)
    yield xdg_base("XDG_DATA_HOME", ".local/share") / "edgebll"
    yield SYSTEM_DIR


def user_data_dir() -> Path:
    """The user's folder for data sets: EDGEBLL_DATA, else $XDG_DATA_HOME/edgebll, else ~/.local/share/edgebll."""
    return next(data_folders())
