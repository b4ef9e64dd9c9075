"""Real control groups for processes of a test, where this machine lets us make some."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

from edgebll.kernel.limits.cgroups import groups


class ControlGroup:
    """A control group of our own below the one we are in.

    Args:
        controller: "memory" or "cpu". folder: which is there already. unified: whether it is one of version 2.
    """

    def __init__(self, folder: Path, *, unified: bool) -> None:
        self.folder, self._unified = folder, unified

    def limit_memory(self, limit_bytes: int) -> None:
        name = "memory.max" if self._unified else "memory.limit_in_bytes"
        (self.folder / name).write_text(str(limit_bytes))

    def limit_processors(self, quota: float) -> None:
        if self._unified:
            (self.folder / "cpu.max").write_text(f"{round(quota * 100_000)} 100000")
        else:
            (self.folder / "cpu.cfs_quota_us").write_text(str(round(quota * 100_000)))

    @property
    def enter(self) -> Callable[[], None]:
        """For a child before it is another program: enter the group."""
        procs = str(self.folder / "cgroup.procs")

        def move() -> None:
            descriptor = os.open(procs, os.O_WRONLY)
            os.write(descriptor, b"0")
            os.close(descriptor)

        return move


def why_not(controller: str) -> str:
    """Why no control group with this controller can be made here; empty if it can."""
    try:
        with control_group(controller) as group:
            probe = {"memory": group.limit_memory, "cpu": group.limit_processors}[controller]
            probe(1 << 30 if controller == "memory" else 1)
    except OSError as error:
        return f"no control group for {controller} can be made here ({error})"
    return ""


@contextlib.contextmanager
def control_group(controller: str) -> Iterator[ControlGroup]:
    """A new group, removed at the end; what was in it must have ended.

    Raises:
        OSError: none can be made.
    """
    found = groups(controller)
    if not found:
        raise OSError(f"this machine has no control groups for {controller}")
    above = found[0]
    folder = above.folder / f"edgebll-test-{uuid4().hex[:8]}"
    folder.mkdir()
    try:
        yield ControlGroup(folder, unified=above.unified)
    finally:
        folder.rmdir()
