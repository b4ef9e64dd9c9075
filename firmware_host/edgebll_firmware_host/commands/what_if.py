"""Boards as they are not, for `edgebll plan --what-if`: with more of a kind, without one, or in another power mode."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.board_speeds import speeds_of

if TYPE_CHECKING:
    from edgebll_firmware_host.inventory import BoardEntry

_MORE = re.compile(r"\+([\w.-]+)(?::(\d{1,4}))?")
_CHANGE = re.compile(r"([^=]+)=(.+)")
_OFF = "off"


def changed_boards(boards: Sequence[BoardEntry], changes: Sequence[str]) -> tuple[BoardEntry, ...]:
    """Boards after all changes, one after another.

    Args:
        boards: of the inventory.
        changes: "+PROFILE", "+PROFILE:COUNT", "BOARD=off" or "BOARD=POWER_MODE".

    Raises:
        ConfigError: a change is none of these, names no board, profile or power mode, or leaves no board.
    """
    found = tuple(boards)
    for change in changes:
        if more := _MORE.fullmatch(change):
            found = (*found, *_more(found, more[1], int(more[2] or 1)))
        elif other := _CHANGE.fullmatch(change):
            found = _with_other(found, other[1], other[2])
        else:
            raise ConfigError(
                f"--what-if must be such as +orin-nano:2 (more boards), orin-1=off or orin-1=15W (a power mode), not {change!r}"
            )
    if not found:
        raise ConfigError("--what-if leaves no board; keep one at least")
    return found


def in_power_mode(boards: Sequence[BoardEntry], mode: str) -> tuple[BoardEntry, ...]:
    """All boards whose profile has this power mode in it, the others as they are.

    Args:
        boards: of the inventory.
        mode: the name of a power mode.

    Raises:
        ConfigError: no board has it.
    """
    able = {board.name for board in boards if board.profile and mode in {each.name for each in speeds_of(board.profile).mode}}
    if not able:
        raise ConfigError(f"no board has a profile with the power mode {mode!r}; give boards a profile in the inventory")
    return tuple(replace(board, power_mode=mode) if board.name in able else board for board in boards)


def _more(boards: Sequence[BoardEntry], profile: str, count: int) -> list[BoardEntry]:
    """New boards of a kind, on their GPU where they have one, else on all processor cores."""
    from edgebll_firmware_host.inventory import BoardEntry

    speeds = speeds_of(profile)
    runtime, threads = ("tensorrt", 1) if speeds.gpu is not None else ("onnxruntime", speeds.cpu.cores if speeds.cpu else 1)
    taken, found, number = {board.name for board in boards}, list[BoardEntry](), 0
    while len(found) < count:
        number += 1
        if (name := f"{profile}-{number}") not in taken:
            endpoint = f"tcp://127.0.0.1:{len(boards) + len(found) + 1}"
            found.append(BoardEntry(name, endpoint, profile=profile, runtime=runtime, threads=threads))
    return found


def _with_other(boards: Sequence[BoardEntry], name: str, value: str) -> tuple[BoardEntry, ...]:
    if name not in {board.name for board in boards}:
        raise ConfigError(
            f"--what-if {name}={value}: there is no board {name!r}, only {', '.join(board.name for board in boards)}"
        )
    if value == _OFF:
        return tuple(board for board in boards if board.name != name)
    return tuple(replace(board, power_mode=value) if board.name == name else board for board in boards)
