"""Compiles fake_cudart.c and opens it as the runtime opens CUDA."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from edgebll_devices.runtimes.tensorrt.cudart import Cudart

SOURCE = Path(__file__).with_suffix(".c")


class FakeCudart(Cudart):
    """CUDA on the host's memory, with hooks; every test starts with `reset`."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.hooks: Any = ctypes.CDLL(path)
        self.hooks.cudaStreamSynchronize.argtypes = (ctypes.c_void_p,)
        self.hooks.fake_limit.argtypes = (ctypes.c_size_t,)
        self.hooks.cudaLaunchHostFunc.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)

    def reset(self) -> None:
        self.hooks.fake_reset()

    def calls(self, function: str) -> int:
        """How often a function was called."""
        return int(self.hooks.fake_calls(function.encode()))

    def fail(self, function: str, code: int, *, calls_from_now: int = 1) -> None:
        """Let a later call of a function fail."""
        self.hooks.fake_fail(function.encode(), calls_from_now, code)

    @property
    def live(self) -> int:
        """Memory, streams, graphs and events that were not freed."""
        return int(self.hooks.fake_live())


def build_fake_cudart(folder: Path) -> str:
    """Compile; returns the library's path. Skips the test where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("needs a C compiler: apt install gcc")
    target = folder / "libcudart.so.12"
    command = [compiler, "-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", str(target), str(SOURCE)]
    subprocess.run(command, check=True, timeout=60)
    return str(target)
