"""Builds the C runtime for this machine and runs plans in it."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
RUNTIME = ROOT / "devices" / "firmware" / "runtime"
#: What the header tells users to compile with, and all that a compiler can complain of.
FLAGS = ("-std=c99", "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror")


def compiler() -> str:
    """The host's C compiler; tests that need one are skipped, and say so, where there is none."""
    found = shutil.which("gcc") or shutil.which("cc")
    if found is None:
        pytest.skip("no C compiler here: the runtime for microcontrollers is not tested (Debian: apt-get install gcc)")
    return found


@cache
def library(*flags: str) -> Any:
    """The runtime as a shared library.

    Args:
        flags: further ones for the compiler.
    """
    folder = Path(tempfile.mkdtemp(prefix="edgebll-runtime-"))
    sources = [str(path) for path in (*sorted(RUNTIME.glob("*.c")), Path(__file__).with_suffix(".c"))]
    subprocess.run([compiler(), *FLAGS, *flags, "-shared", "-fPIC", *sources, "-o", str(folder / "runtime.so")], check=True)
    loaded = ctypes.CDLL(str(folder / "runtime.so"))
    shutil.rmtree(folder)
    loaded.runtime_hooks.restype = ctypes.c_ulong
    return loaded


def run_in_c(
    plan: bytes, state: bytearray, arena: bytearray, *, times: int = 1, flags: tuple[str, ...] = ()
) -> tuple[int, int]:
    """Check and run a plan; state and arena change in place.

    Args:
        plan: its bytes.
        state: of the size that there is on the board.
        arena: likewise.
        times: runs, one after another. Default: 1.
        flags: for the compiler, as of `library`. Default: none.

    Returns:
        The number of the error, 0 for none, and the byte of the plan it is at.
    """
    at = ctypes.c_uint32()
    views = [(ctypes.c_uint8 * len(data)).from_buffer(data) if data else None for data in (state, arena)]
    error = library(*flags).runtime_run(plan, len(plan), views[0], len(state), views[1], len(arena), times, ctypes.byref(at))
    return error, at.value
