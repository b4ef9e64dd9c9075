"""Runtimes: what computes a block's graphs on a board. Each is imported only when a block is loaded with it."""

from __future__ import annotations

import importlib.util

from edgebll.bundle import Bundle
from edgebll.errors import ConfigError, MissingExtraError
from edgebll_devices.runtimes.base import BlockRuntime

#: Names of all runtimes, the default first.
RUNTIMES = ("onnxruntime", "reference")

__all__ = ["RUNTIMES", "BlockRuntime", "available_runtimes", "load_block"]


def available_runtimes() -> tuple[str, ...]:
    """Names of the runtimes that can be used on this machine; finds out without importing them."""
    return tuple(name for name in RUNTIMES if name == "reference" or importlib.util.find_spec(name) is not None)


def load_block(runtime: str, bundle: Bundle, block: str, *, threads: int = 1) -> BlockRuntime:
    """Load a block's graphs and starting state.

    Args:
        runtime: one of RUNTIMES. bundle: an opened bundle; its files are not needed once this returns.
        block: the block's name. threads: threads of one training step; "reference" always uses one.

    Raises:
        ConfigError: unknown runtime or threads < 1. MissingExtraError: the runtime is not installed.
        BundleError: no such block, or a graph or state that does not load or fit.
    """
    if runtime not in RUNTIMES:
        raise ConfigError(f"the runtime must be one of {', '.join(RUNTIMES)}, not {runtime!r}")
    if threads < 1:
        raise ConfigError(f"the number of threads must be at least 1, not {threads}")
    if runtime == "reference":
        from edgebll_devices.runtimes.reference import ReferenceBlock

        return ReferenceBlock(bundle, block)
    if runtime not in available_runtimes():
        raise MissingExtraError(f"the runtime {runtime} is not installed; install it: pip install {runtime}")
    from edgebll_devices.runtimes.ort import OrtBlock

    return OrtBlock(bundle, block, threads=threads)
