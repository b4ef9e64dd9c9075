"""A systemd of its own for tests: a user instance in a mount namespace, where it finds what it takes for a booted system."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import pytest

SYSTEMD = "/lib/systemd/systemd"
_LIMIT_S = 60.0
_NAMESPACE = ("unshare", "--mount", "--map-root-user") if os.geteuid() else ("unshare", "--mount")
_PREPARE = "mkdir -p /run/systemd && mount -t tmpfs none /run/systemd && mkdir /run/systemd/system"


@lru_cache
def why_not() -> str:
    """Why there can be none here, in one sentence; empty if there can."""
    if not Path(SYSTEMD).exists() or not all(map(shutil.which, ("systemctl", "unshare", "nsenter"))):
        return "systemd is not on this machine"
    try:
        tried = subprocess.run([*_NAMESPACE, "sh", "-c", _PREPARE], capture_output=True, timeout=_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return "this machine gives no mount namespace in time"
    return "this machine gives no mount namespace" if tried.returncode else ""


class UserSystemd:
    """A running one; make it with `user_systemd`. `log`: what it said."""

    def __init__(self, process: subprocess.Popen[bytes], environment: dict[str, str], log: Path) -> None:
        self._environment, self.log = environment, log
        self._enter = ("nsenter", "--preserve-credentials", "--user", "--mount") if os.geteuid() else ("nsenter", "--mount")
        self._target = ("--target", str(process.pid))

    def command(self, *arguments: str) -> list[str]:
        """A `systemctl --user` in its namespace."""
        return [*self._enter, *self._target, "systemctl", "--user", *arguments]

    def popen(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Begin a `systemctl`."""
        return subprocess.Popen(self.command(*arguments), env=self._environment, stderr=subprocess.PIPE)

    def ctl(self, *arguments: str) -> str:
        """Run a `systemctl` and return what it says."""
        command = self.command(*arguments)
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
        assert done.returncode == 0, (arguments, done.stderr, self.log.read_text("utf-8", "replace")[-2000:])
        return done.stdout.strip()

    def show(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.ctl("show", unit, "--property", name, "--value")

    def await_property(self, unit: str, name: str, value: str) -> None:
        """Wait until a unit's property has this value."""
        deadline = time.monotonic() + _LIMIT_S
        while (found := self.show(unit, name)) != value:
            assert time.monotonic() < deadline, (name, found, self.log.read_text("utf-8", "replace")[-2000:])


@contextlib.contextmanager
def user_systemd(units: dict[str, Sequence[str]], environment: dict[str, str]) -> Iterator[UserSystemd]:
    """Run one that knows these units, by name as lines; at the end all they started has ended.

    Args:
        environment: of the services, besides where systemd's own files lie.
    """
    with tempfile.TemporaryDirectory(prefix="sd") as folder:  # short: paths of sockets have at most 107 bytes
        base, config = Path(folder), Path(folder) / "config"
        (config / "systemd" / "user").mkdir(parents=True)
        for name, lines in units.items():
            (config / "systemd" / "user" / name).write_text("\n".join(lines) + "\n")
        places = {"XDG_RUNTIME_DIR": folder, "XDG_CONFIG_HOME": str(config), "SYSTEMD_LOG_TARGET": "console"}
        full = {**os.environ, **environment, **places}
        line = f"{_PREPARE} && exec {SYSTEMD} --user --unit=basic.target"
        with (base / "log").open("wb") as log:
            command = [*_NAMESPACE, "sh", "-c", line]
            process = subprocess.Popen(command, env=full, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + _LIMIT_S
            while not (base / "systemd" / "private").exists():
                if process.poll() is not None:  # its control groups may belong to somebody else
                    pytest.skip(f"systemd does not run here: {(base / 'log').read_text()[-500:]}")
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield UserSystemd(process, full, base / "log")
        finally:
            process.terminate()  # it stops all units first
            try:
                process.wait(_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
