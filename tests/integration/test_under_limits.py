"""Boards in real control groups and under `ulimit`: what they say of themselves."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.control_groups import control_group, why_not

from edgebll.kernel.wire import Welcome
from edgebll_firmware_host.fleet.probe import probe
from edgebll_firmware_host.inventory import BoardEntry

MIB = 1 << 20
WHY_NO_MEMORY, WHY_NO_CPU = why_not("memory"), why_not("cpu")


def told(state: Path, preexec: Callable[[], None] | None = None, command: str = "exec") -> Welcome:
    """What an agent of its own says of itself; `command` is of the shell that starts it."""
    line = f"{command} {sys.executable} -c 'from edgebll_devices.commands.main import main; main()' serve --listen tcp://127.0.0.1:0"
    with subprocess.Popen(
        ["/bin/sh", "-c", f"{line} --state {state} --name limited"], stdout=subprocess.PIPE, text=True, preexec_fn=preexec
    ) as agent:
        try:
            assert agent.stdout is not None
            return probe(BoardEntry("limited", agent.stdout.readline().split()[3]), None, 20.0)
        finally:
            agent.kill()


@pytest.mark.skipif(bool(WHY_NO_MEMORY), reason=WHY_NO_MEMORY)
def test_a_board_in_a_control_group_tells_its_limit(tmp_path: Path) -> None:
    with control_group("memory") as group:
        group.limit_memory(300 * MIB)
        found = told(tmp_path, group.enter)
    assert found.memory_limit_bytes == 300 * MIB < found.memory_bytes
    assert found.memory_limited_by == f"the control group {group.folder}"
    assert 150 * MIB < found.memory_free_bytes < 300 * MIB


def test_a_board_under_ulimit_tells_its_limit(tmp_path: Path) -> None:
    found = told(tmp_path, command=f"ulimit -v {2 << 20}; exec")
    assert (found.memory_limit_bytes, found.memory_limited_by) == (2 << 30, "ulimit -v")
    assert 0 < found.memory_free_bytes < 2 << 30


@pytest.mark.skipif(bool(WHY_NO_CPU), reason=WHY_NO_CPU)
def test_a_board_tells_what_part_of_a_processor_it_has(tmp_path: Path) -> None:
    with control_group("cpu") as group:
        group.limit_processors(0.5)
        found = told(tmp_path, group.enter)
    assert found.cpus == 0.5
