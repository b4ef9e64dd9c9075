"""Commands as a user whom the system does not know, without a home folder, as in containers: `docker run --user 54321`."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

USER = 54321
#: Reading is allowed, so that the interpreter and the packages may lie in a home folder; writing is not.
_BECOME = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups")
_MAY_READ = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")


def prefix(temporary: Path, home: str | None = None) -> tuple[str, ...]:
    """Of a command. `temporary`: folder for temporary files. `home`: what HOME says; None for nothing."""
    variables = [f"TMPDIR={temporary}", "PYTHONDONTWRITEBYTECODE=1", *([f"HOME={home}"] if home is not None else [])]
    bases = [word for name in ("HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME") for word in ("-u", name)]
    return ("env", *bases, *variables, *_BECOME, *_MAY_READ)


def why_not() -> str | None:
    """Why nobody can be nobody here, or None."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return "becoming another user needs root and setpriv (util-linux)"
    tried = subprocess.run([*_BECOME, *_MAY_READ, "true"], capture_output=True, text=True, check=False, timeout=20)
    return None if tried.returncode == 0 else f"this machine lets nobody become another user: {tried.stderr.strip()}"


def folder_of(user: int, path: Path) -> Path:
    """Make a folder of a user's own."""
    path.mkdir()
    os.chown(path, user, user)
    return path
