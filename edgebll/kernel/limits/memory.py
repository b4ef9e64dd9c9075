"""How much memory this process may take: the least that the machine, control groups and `ulimit` leave it."""

from __future__ import annotations

import hashlib
import os
import re
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgebll.kernel.limits.cgroups import Group, groups

#: Control groups without a limit have a huge one in version 1.
_NONE = 1 << 60
#: See `_usable`.
_ADDRESSES_BESIDE, _ADDRESSES_A_BYTE = 64 << 20, 1.7


@dataclass(frozen=True)
class Memory:
    """Memory this process may use; bytes, 0 where it is not known.

    Attributes:
        limit_bytes: all it may ever have.
        limited_by: what says so, in words; empty where the machine has no more.
        free_bytes: what it may take yet, page cache that can be dropped and swap included.
        pool: the same for processes that share what is free, e.g. those of one control group.
    """

    limit_bytes: int
    limited_by: str
    free_bytes: int
    pool: str


@dataclass(frozen=True)
class _Bound:
    """One limit: bytes in all, bytes left, its name, and whom it is shared with."""

    limit: int
    free: int
    name: str
    pool: str


def read_memory(root: Path = Path("/")) -> Memory:
    """Ask the system now.

    Args:
        root: the file system, so that a test can hand in a folder for a machine.
    """
    machine = _machine(root)
    bounds = [machine, *_by_groups(root, _mib(root, "SwapFree")), *_by_ulimit(root)]
    known = [bound for bound in bounds if bound.limit > 0]
    if not known:
        return Memory(0, "", 0, "")
    least = min(known, key=lambda bound: bound.limit)  # the first of equal ones: the machine
    tightest = min(known, key=lambda bound: bound.free)
    pool = f"{_text(root / 'proc/sys/kernel/random/boot_id')} {tightest.pool}"
    return Memory(least.limit, least.name, max(0, tightest.free), hashlib.sha256(pool.encode()).hexdigest()[:16])


def kills_for_memory(root: Path = Path("/")) -> int | None:
    """How many processes the system has killed so far for want of memory, or of a control group's; None if it does not tell.

    Args:
        root: the file system, so that a test can hand in a folder for a machine.
    """
    found = re.search(r"^oom_kill (\d+)$", _text(root / "proc/vmstat"), re.MULTILINE)
    return int(found[1]) if found else None


def own_bytes(root: Path = Path("/")) -> int:
    """Memory this process has taken itself: what is resident and no file's."""
    resident, shared = (int(word) for word in (_text(root / "proc/self/statm").split() or ["0"] * 3)[1:3])
    return max(0, resident - shared) * os.sysconf("SC_PAGE_SIZE")


def _machine(root: Path) -> _Bound:
    total, free = _mib(root, "MemTotal"), _mib(root, "MemAvailable") + _mib(root, "SwapFree")
    if not total and root == Path("/"):  # no Linux
        total = free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return _Bound(total, free, "", "machine")


def _mib(root: Path, entry: str) -> int:
    found = re.search(rf"^{entry}:\s+(\d+) kB", _text(root / "proc/meminfo"), re.MULTILINE)
    return int(found[1]) << 10 if found else 0


def _by_groups(root: Path, swap_free: int) -> Iterator[_Bound]:
    for group in groups("memory", root):
        bound = _unified(group, swap_free) if group.unified else _first_version(group, swap_free)
        if bound is not None:
            yield bound


def _unified(group: Group, swap_free: int) -> _Bound | None:
    limits = [value for name in ("memory.max", "memory.high") if (value := group.number(name)) is not None]
    if not limits:
        return None
    swap_limit = group.number("memory.swap.max")
    swap = swap_free if swap_limit is None else min(swap_free, max(0, swap_limit - (group.number("memory.swap.current") or 0)))
    stat = group.table("memory.stat")
    cache = stat.get("inactive_file", 0) + stat.get("active_file", 0)
    free = min(limits) - (group.number("memory.current") or 0) + cache + swap
    return _Bound(min(limits), free, _named(group), str(group.folder))


def _first_version(group: Group, swap_free: int) -> _Bound | None:
    limit = group.number("memory.limit_in_bytes")
    if limit is None or limit >= _NONE:
        return None
    stat = group.table("memory.stat")
    cache = stat.get("total_inactive_file", 0) + stat.get("total_active_file", 0)
    free = limit - (group.number("memory.usage_in_bytes") or 0) + cache + swap_free
    with_swap = group.number("memory.memsw.limit_in_bytes")
    if with_swap is not None:
        free = min(free, with_swap - (group.number("memory.memsw.usage_in_bytes") or 0) + cache)
    return _Bound(limit, free, _named(group), str(group.folder))


def _named(group: Group) -> str:
    return f"the control group {group.folder}"


def _by_ulimit(root: Path) -> Iterator[_Bound]:
    """Limits of this process alone on its addresses (`ulimit -v`) and on its data (`ulimit -d`)."""
    words = _text(root / "proc/self/statm").split()
    page = os.sysconf("SC_PAGE_SIZE")
    for option, kind, column in (("-v", resource.RLIMIT_AS, 0), ("-d", resource.RLIMIT_DATA, 5)):
        limit = resource.getrlimit(kind)[0]
        if limit != resource.RLIM_INFINITY:
            taken = int(words[column]) * page if len(words) > column else 0
            free = limit - taken if kind == resource.RLIMIT_DATA else _usable(limit - taken)
            yield _Bound(limit, free, f"ulimit {option}", f"process {os.getpid()}")


def _usable(addresses: int) -> int:
    """How much memory fits into so many bytes of addresses.

    Libraries and stacks of threads take addresses without memory, and allocators take more than they use: blocks of ResNet-8
    and ResNet-18 on ONNX Runtime took 64 MiB, and 1.7 bytes of addresses for one of memory.
    """
    return int((addresses - _ADDRESSES_BESIDE) / _ADDRESSES_A_BYTE)


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace").strip()
    except OSError:
        return ""
