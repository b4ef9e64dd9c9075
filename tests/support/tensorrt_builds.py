"""Building engines with TensorRT for RTX, which needs no GPU for it, for every generation of GPU at once."""

from __future__ import annotations

import importlib.util
from functools import cache

from edgebll.kernel.execution.load_context import LoadContext
from edgebll_devices.runtimes.tensorrt.builder import Builder, BuildOptions, Built
from edgebll_devices.runtimes.tensorrt.find_library import load_library

AVAILABLE = importlib.util.find_spec("tensorrt_rtx") is not None
WHY_NOT = "needs the package tensorrt-rtx (Linux and Windows on x86-64): pip install tensorrt-rtx"
#: Ampere, its small cards and Orin's generation, Ada, Blackwell: all that TensorRT for RTX builds for, 8.0 to 12.0.
CAPABILITIES = ("SM80", "SM86", "SM89", "SM120")


def build(where: str, graph: bytes, capabilities: tuple[str, ...] = CAPABILITIES) -> Built:
    """Parse and build a graph for GPUs of these capabilities; the warnings are in the result."""
    return _builder().build(where, graph, BuildOptions(capabilities=capabilities))


@cache
def _builder() -> Builder:
    """One for the whole process: TensorRT keeps the first logger it is given, and warns of others."""
    return Builder(load_library(), LoadContext())
