"""What `edgebll doctor` looks at: each check says how things are and, where something is wrong, what to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgebll.cli.commands.machine_checks import gpu, local, packages
from edgebll.cli.commands.machine_checks.packages import ROLES
from edgebll.cli.health_check import NOTE, OK, PROBLEM, Check, guarded

__all__ = ["NOTE", "OK", "PROBLEM", "ROLES", "Check", "run_checks"]


def run_checks(role: str, data_dir: Path | None, folder: Path) -> list[Check]:
    """All checks for a machine that is to be a `role`, with runs written below `folder`; boards have more, see `board`."""
    return list(_checks(role, data_dir, folder))


def _checks(role: str, data_dir: Path | None, folder: Path) -> Iterator[Check]:
    yield local.python()
    yield local.machine()
    yield local.edgebll_itself()
    yield from packages.installed(role)
    yield from gpu.gpu()
    yield guarded("runtimes", lambda: packages.runtimes())
    yield guarded("loopback", local.loopback)
    yield guarded("disk", lambda: local.disk(folder))
    yield from local.data_sets(data_dir)
