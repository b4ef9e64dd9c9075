"""How many processors this process may use at once: by its affinity, and by the time its control groups allow it."""

from __future__ import annotations

import os
from pathlib import Path

from edgebll.kernel.limits.cgroups import Group, groups


def usable_cores() -> int:
    """Processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_threads() -> int:
    """The usable processors, or as many as OMP_NUM_THREADS allows: the limit of PyTorch and of ONNX Runtime alike."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return min(usable_cores(), int(limit)) if limit.isdecimal() and int(limit) else usable_cores()


def usable_processors(root: Path = Path("/")) -> float:
    """Processors whose whole time this process may have; control groups also give parts of one, e.g. 0.5.

    Args:
        root: the file system, so that a test can hand in a folder for a machine.
    """
    quotas = [quota for group in groups("cpu", root) if (quota := _quota(group)) is not None]
    return min([float(usable_cores()), *quotas])


def _quota(group: Group) -> float | None:
    if group.unified:
        words = group.text("cpu.max").split()
        quota, period = words if len(words) == 2 else ("max", "")
    else:
        quota, period = group.text("cpu.cfs_quota_us"), group.text("cpu.cfs_period_us")
    if not quota.isdecimal() or not period.isdecimal() or not int(quota) or not int(period):
        return None
    return int(quota) / int(period)
