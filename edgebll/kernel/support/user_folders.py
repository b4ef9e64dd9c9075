"""Where a user's files go if nobody says otherwise: the XDG Base Directory Specification, and what to do without a home."""

from __future__ import annotations

import functools
import logging
import os
import stat
import tempfile
from pathlib import Path

from edgebll.kernel.errors import StorageError

_log = logging.getLogger(__name__)


def default_state_dir() -> Path:
    """Where a board keeps its key, its hosts and its files: $XDG_STATE_HOME/edgebll, or ~/.local/state/edgebll.

    Raises:
        StorageError: as `xdg_base`.
    """
    return xdg_base("XDG_STATE_HOME", ".local/state") / "edgebll"


def xdg_base(variable: str, fallback: str) -> Path:
    """A base folder: the variable's, if that is an absolute path, else that in the home folder, or in its substitute.

    Raises:
        StorageError: there is no home folder, and nothing can be put in its place.
    """
    given = given_base(variable)
    return given if given is not None else (find_home() or _substitute(os.geteuid())) / fallback


def given_base(variable: str) -> Path | None:
    """The folder an XDG variable names; None if it names none, or no absolute path."""
    given = Path(os.environ.get(variable, ""))
    return given if given.is_absolute() else None


def find_home() -> Path | None:
    """The user's home folder; None where there is none, as in containers whose user the system does not know.

    Container engines give such users the home /, in which they may write nothing.
    """
    try:
        home = Path.home()
    except RuntimeError:  # HOME is not set, and the user is not in the system's list
        return None
    if not home.is_dir() or (home == Path("/") and not os.access(home, os.W_OK)):
        return None
    return home


@functools.cache
def _substitute(user: int) -> Path:
    """A folder of this user alone for temporary files; said once."""
    folder = Path(tempfile.gettempdir()) / f"edgebll-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise StorageError(f"there is no home folder, and {folder} cannot be made ({error.strerror}); set HOME") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != user or found.st_mode & 0o077:
        raise StorageError(f"there is no home folder, and {folder} is not this user's alone; set HOME")
    _log.warning("there is no home folder: what belongs there is kept in %s, and may be lost with it; set HOME", folder)
    return folder
