"""How many processors a process may use at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.machine_root import FIRST_VERSION, UNIFIED, in_groups, write

from edgebll.kernel.limits import usable_cores, usable_processors


def test_without_limits_all_of_its_affinity(tmp_path: Path) -> None:
    assert usable_processors(tmp_path) == usable_cores() == len(os.sched_getaffinity(0))


def test_an_affinity_limits_it() -> None:
    one = min(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, {{{one}}}); from edgebll.kernel.limits import *; print(usable_processors())"
    assert float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout) <= 1.0


@pytest.mark.parametrize(("text", "expected"), [("50000 100000", 0.5), ("max 100000", None), ("", None), ("0 0", None)])
def test_a_quota_of_version_2_limits_it_wherever_it_is_set(text: str, expected: float | None, tmp_path: Path) -> None:
    in_groups(tmp_path, UNIFIED, "0::/outer/inner\n")
    write(tmp_path, "sys/fs/cgroup/outer/cpu.max", text)
    assert usable_processors(tmp_path) == (expected or usable_cores())


@pytest.mark.parametrize(("quota", "expected"), [("25000", 0.25), ("-1", None)])
def test_a_quota_of_version_1_limits_it(quota: str, expected: float | None, tmp_path: Path) -> None:
    in_groups(tmp_path, FIRST_VERSION, "3:memory:/\n2:cpu,cpuacct:/board\n")
    write(tmp_path, "sys/fs/cgroup/cpu/board/cpu.cfs_quota_us", quota)
    write(tmp_path, "sys/fs/cgroup/cpu/board/cpu.cfs_period_us", "100000")
    assert usable_processors(tmp_path) == (expected or usable_cores())
