"""What memory a process may have, by machines laid out in folders; and by this one's own limits, in a process under them."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from support.machine_root import CONTAINER, FIRST_VERSION, MIB, UNIFIED, in_groups, machine, write

from edgebll.kernel.limits import own_bytes, read_memory

GROUP = "sys/fs/cgroup/system.slice/edgebll.service"


def test_without_limits_it_is_the_machines(tmp_path: Path) -> None:
    found = read_memory(machine(tmp_path, total=8192, available=6000, swap=500))
    assert (found.limit_bytes, found.limited_by, found.free_bytes) == (8192 * MIB, "", 6500 * MIB)


def test_a_group_of_version_2_limits_it_and_its_page_cache_is_free(tmp_path: Path) -> None:
    root = in_groups(machine(tmp_path, swap=1000), UNIFIED, "0::/system.slice/edgebll.service\n")
    write(root, f"{GROUP}/memory.max", f"{300 * MIB}\n")
    write(root, f"{GROUP}/memory.high", "max\n")
    write(root, f"{GROUP}/memory.current", f"{250 * MIB}\n")
    write(root, f"{GROUP}/memory.swap.max", "0\n")
    write(root, f"{GROUP}/memory.stat", f"anon 5\nactive_file {10 * MIB}\ninactive_file {40 * MIB}\n")
    found = read_memory(root)
    assert (found.limit_bytes, found.free_bytes) == (300 * MIB, 100 * MIB)
    assert found.limited_by == f"the control group {root / GROUP}"


def test_swap_a_group_may_use_counts(tmp_path: Path) -> None:
    root = in_groups(machine(tmp_path, swap=1000), UNIFIED, "0::/a\n")
    write(root, "sys/fs/cgroup/a/memory.max", f"{300 * MIB}")
    write(root, "sys/fs/cgroup/a/memory.current", f"{250 * MIB}")
    write(root, "sys/fs/cgroup/a/memory.swap.max", f"{200 * MIB}")
    write(root, "sys/fs/cgroup/a/memory.swap.current", f"{50 * MIB}")
    assert read_memory(root).free_bytes == 200 * MIB


def test_the_least_of_all_groups_above_it_holds(tmp_path: Path) -> None:
    root = in_groups(machine(tmp_path), UNIFIED, "0::/outer/inner\n")
    write(root, "sys/fs/cgroup/outer/memory.max", f"{200 * MIB}")
    write(root, "sys/fs/cgroup/outer/memory.current", f"{150 * MIB}")
    write(root, "sys/fs/cgroup/outer/inner/memory.max", f"{300 * MIB}")
    write(root, "sys/fs/cgroup/outer/inner/memory.current", f"{10 * MIB}")
    found = read_memory(root)
    assert (found.limit_bytes, found.free_bytes) == (200 * MIB, 50 * MIB)
    assert found.limited_by.endswith("/outer")


def test_a_group_of_version_1_limits_it(tmp_path: Path) -> None:
    root = in_groups(machine(tmp_path, swap=500), FIRST_VERSION, "3:memory:/pod/board\n2:cpu,cpuacct:/\n0::/\n")
    folder = "sys/fs/cgroup/memory/pod"
    write(root, f"{folder}/board/memory.limit_in_bytes", "9223372036854771712\n")
    write(root, f"{folder}/memory.limit_in_bytes", f"{300 * MIB}\n")
    write(root, f"{folder}/memory.usage_in_bytes", f"{100 * MIB}\n")
    write(root, f"{folder}/memory.stat", f"inactive_file 1\ntotal_inactive_file {20 * MIB}\ntotal_active_file 0\n")
    assert (read_memory(root).limit_bytes, read_memory(root).free_bytes) == (300 * MIB, 720 * MIB)
    write(root, f"{folder}/memory.memsw.limit_in_bytes", f"{350 * MIB}\n")
    write(root, f"{folder}/memory.memsw.usage_in_bytes", f"{110 * MIB}\n")
    assert read_memory(root).free_bytes == 260 * MIB


def test_a_container_sees_its_own_group_at_the_mount(tmp_path: Path) -> None:
    for own in ("4:memory:/docker/3f2a\n", "4:memory:/\n", "4:memory:/../../docker/3f2a\n"):
        root = in_groups(machine(tmp_path), CONTAINER, own)
        write(root, "sys/fs/cgroup/memory.limit_in_bytes", f"{300 * MIB}\n")
        assert read_memory(root).limit_bytes == 300 * MIB, own


def test_the_machine_counts_where_it_has_less_left_than_the_group(tmp_path: Path) -> None:
    root = in_groups(machine(tmp_path, available=100), UNIFIED, "0::/a\n")
    write(root, "sys/fs/cgroup/a/memory.max", f"{300 * MIB}")
    write(root, "sys/fs/cgroup/a/memory.current", "0")
    assert (read_memory(root).limit_bytes, read_memory(root).free_bytes) == (300 * MIB, 100 * MIB)


def test_who_shares_what_is_free_has_the_same_pool(tmp_path: Path) -> None:
    root = in_groups(machine(tmp_path), UNIFIED, "0::/a\n")
    shared = read_memory(root).pool
    write(root, "sys/fs/cgroup/a/memory.max", f"{300 * MIB}")
    own = read_memory(root).pool
    in_groups(root, UNIFIED, "0::/b\n")
    assert read_memory(root).pool == shared != own
    write(root, "proc/sys/kernel/random/boot_id", "4c2e")
    assert read_memory(root).pool != shared


def test_a_system_that_tells_nothing_is_not_known(tmp_path: Path) -> None:
    assert read_memory(tmp_path).limit_bytes == read_memory(tmp_path).free_bytes == 0
    for nonsense in ("0::/a\n\n:\n", "x\n"):
        in_groups(tmp_path, "1 2\n - cgroup2\n" + UNIFIED, nonsense)
        write(tmp_path, "sys/fs/cgroup/a/memory.max", "many\n")
        assert read_memory(tmp_path).limit_bytes == 0


@pytest.mark.parametrize(("kind", "option"), [(resource.RLIMIT_AS, "-v"), (resource.RLIMIT_DATA, "-d")])
def test_the_limits_of_ulimit_are_this_processs_own(kind: int, option: str) -> None:
    code = f"import resource; resource.setrlimit({int(kind)}, ({512 * MIB}, -1))\n"
    code += "from edgebll.kernel.limits import read_memory\na = read_memory(); taken = bytearray(50 << 20); b = read_memory()\n"
    code += "print(a.limit_bytes, a.limited_by, a.free_bytes, a.free_bytes - b.free_bytes, sep='|')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    limit, name, free, taken = done.stdout.split("|")
    assert (int(limit), name) == (512 * MIB, f"ulimit {option}")
    expected = 50 * MIB if option == "-d" else 50 * MIB / 1.7
    assert expected <= int(taken) < 1.2 * expected
    assert int(free) < 512 * MIB


def test_what_this_process_has_taken_itself() -> None:
    before = own_bytes()
    taken = bytearray(64 * MIB)
    assert 60 * MIB < own_bytes() - before < 80 * MIB
    del taken
