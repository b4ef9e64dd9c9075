"""A board's clock, key file, and room for the engines built on it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import edgebll.kernel
from edgebll.cli.health_check import NOTE, OK, PROBLEM, Check
from edgebll.cli.machine_facts import existing_parent
from edgebll.kernel.errors import ConfigError
from edgebll_devices.doctor.board_probe import BoardProbe

_DAY_S = 86400.0
_KEY = "etc/edgebll/board.key"
#: Files whose time of change is a time that has passed: systemd keeps the last known time in the first.
_DATED = ("var/lib/systemd/timesync/clock", "var/lib/dpkg/status", "etc/nv_tegra_release")
_ROOM_BYTES, _LEAST_BYTES = 2 << 30, 256 << 20


def clock(board: BoardProbe) -> Check:
    """Whether the clock is behind what files here prove has passed; boards without a battery begin in the past."""
    dated = [board.root / name for name in _DATED] + [Path(edgebll.kernel.__file__)]
    newest = max(path.stat().st_mtime for path in dated if path.exists())
    shown = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(board.now()))
    if board.now() >= newest - _DAY_S:
        return Check("clock", OK, shown)
    since = time.strftime("%Y-%m-%d", time.gmtime(newest))
    advice = "sudo timedatectl set-ntp true; edgebll's keys need no clock, but pip, apt and logs do"
    return Check("clock", NOTE, f"says {shown}, but files here are from {since}", advice)


def key(board: BoardProbe) -> Check:
    """The board's key file: there, readable by its owner only, and whole."""
    from edgebll.kernel.keys import load_key_pair

    named = board.key or (Path(os.environ["EDGEBLL_KEY"]) if os.environ.get("EDGEBLL_KEY") else None)
    path = named or board.root / _KEY
    if named is None and not path.exists():
        advice = f"edgebll keys new /{_KEY}, and name it with --key; without one the agent serves this machine only"
        return Check("key", NOTE, "none found", advice)
    if path.exists() and not os.access(path, os.R_OK):
        return Check(
            "key", NOTE, f"{path} belongs to another user", "look as the user who serves: sudo -u edgebll edgebll doctor"
        )
    try:
        pair = load_key_pair(path)
    except ConfigError as error:
        found, _, advice = str(error).partition("; ")
        return Check("key", PROBLEM, found, advice)
    return Check("key", OK, f"{path}, public key {pair.public}")


def engines(board: BoardProbe) -> Check:
    """Room where engines built on this board are kept."""
    from edgebll.kernel.execution.load_context import default_engine_dir

    folder = existing_parent(default_engine_dir())
    free = board.free_bytes(folder)
    found = f"{free / 2**30:.1f} GiB free for engines in {folder}"
    if free >= _ROOM_BYTES:
        return Check("engines", OK, found)
    advice = "free some space, or name another folder in EDGEBLL_ENGINES"
    return Check("engines", PROBLEM if free < _LEAST_BYTES else NOTE, found, advice)
