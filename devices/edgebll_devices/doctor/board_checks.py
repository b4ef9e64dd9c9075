"""A board as `doctor` sees it: which it is, and all that is looked at on one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from edgebll.cli.health_check import NOTE, OK, Check, guarded
from edgebll_devices.doctor.board_probe import BoardProbe

if TYPE_CHECKING:
    pass


def is_board(board: BoardProbe) -> bool:
    """Whether this machine is one of the boards known, or any other Jetson."""
    return board.profile() is not None or board.jetson_linux() is not None


def board_checks(board: BoardProbe) -> Iterator[Check]:
    """All checks of a board; those of a Jetson only on one."""
    from edgebll_devices.doctor import health, jetson, storage

    yield guarded("board", lambda: _board(board))
    jetsons: tuple[Callable[[BoardProbe], Check], ...] = (
        *(jetson.jetpack, jetson.interpreter, jetson.tensorrt, jetson.cudart, jetson.gpu_access, jetson.power_mode),
    )
    everywhere = (health.memory, health.swap, health.temperature, health.supply, storage.clock, storage.key, storage.engines)
    for check in (*(jetsons if board.jetson_linux() else ()), *everywhere):
        topic = check.__name__.replace("_", " ")
        yield guarded(topic, lambda check=check: check(board))  # type: ignore[misc]


def _board(board: BoardProbe) -> Check:
    from edgebll_devices.hardware.profiles import device_tree, load_profiles

    profile, model = board.profile(), device_tree(board.root, "model")
    if profile is not None:
        return Check("board", OK, f"{profile.title} (profile {profile.name})")
    found = model or "no device tree, so no small board"
    status = NOTE if model else OK
    return Check("board", status, found, f"there are profiles for {', '.join(load_profiles())}" if model else "")
