"""A folder that looks like a machine's file system to what reads memory and control groups."""

from __future__ import annotations

from pathlib import Path

MIB = 1 << 20
#: /proc/self/mountinfo of a machine with version 2, of one with version 1, and of a container that sees its own group alone.
UNIFIED = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
FIRST_VERSION = (
    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
)
CONTAINER = "1250 1240 0:26 /docker/3f2a /sys/fs/cgroup ro,nosuid - cgroup cgroup rw,memory\n"


def machine(root: Path, *, total: int = 8192, available: int = 6000, swap: int = 0) -> Path:
    """Memory of a machine in MiB; returns `root`."""
    lines = {"MemTotal": total, "MemAvailable": available, "SwapFree": swap}
    write(root, "proc/meminfo", "".join(f"{name}:  {mib * 1024} kB\n" for name, mib in lines.items()))
    return write(root, "proc/sys/kernel/random/boot_id", "3b1f\n")


def in_groups(root: Path, mountinfo: str, own: str) -> Path:
    """Which hierarchies are mounted, and /proc/self/cgroup; returns `root`."""
    write(root, "proc/self/mountinfo", mountinfo)
    return write(root, "proc/self/cgroup", own)


def write(root: Path, name: str, text: str) -> Path:
    """A file below `root`; returns `root`."""
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)
    return root
