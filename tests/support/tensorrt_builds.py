"""Building engines with TensorRT for RTX, which needs no GPU for it, for every generation of GPU at once."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

from edgebll_devices.runtimes.site import Site
from edgebll_devices.runtimes.tensorrt.builder import Builder, BuildOptions, Built
from edgebll_devices.runtimes.tensorrt.library import load_library

AVAILABLE = importlib.util.find_spec("tensorrt_rtx") is not None
WHY_NOT = "needs the package tensorrt-rtx (Linux and Windows on x86-64): pip install tensorrt-rtx"
#: Ampere, its small cards and Orin's generation, Ada, Blackwell: all that TensorRT for RTX builds for, 8.0 to 12.0.
CAPABILITIES = ("SM80", "SM86", "SM89", "SM120")


class _ForOthers(Builder):
    capabilities: Sequence[str] = CAPABILITIES

    def _configure(self, builder: Any, network: Any, options: BuildOptions, timings: bytes) -> tuple[Any, Any]:
        config, cache = super()._configure(builder, network, options, timings)
        known = self._library.trt.ComputeCapability
        config.num_compute_capabilities = len(self.capabilities)
        for index, name in enumerate(self.capabilities):
            config.set_compute_capability(getattr(known, name), index)
        return config, cache


def build(where: str, graph: bytes, capabilities: Sequence[str] = CAPABILITIES) -> Built:
    """Parse and build a graph for GPUs of these capabilities; the warnings are in the result."""
    builder = _ForOthers(load_library(), Site())
    builder.capabilities = capabilities
    return builder.build(where, graph, BuildOptions())
