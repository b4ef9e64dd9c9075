"""Runtimes: what computes a block's graphs on a board. Each is imported only when a block is loaded with it."""

from __future__ import annotations

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import ConfigError, MissingExtraError
from edgebll.kernel.execution.block_runtime import BlockRuntime
from edgebll.kernel.execution.load_context import LoadHalted, Site
from edgebll.kernel.spec.runtime_names import RUNTIMES, check_runtime
from edgebll_devices.runtimes.availability import missing

__all__ = ["RUNTIMES", "BlockRuntime", "LoadHalted", "Site", "available_runtimes", "load_block", "missing"]


def available_runtimes() -> tuple[str, ...]:
    """Names of the runtimes that can be used on this machine; finds out without importing them."""
    return tuple(name for name in RUNTIMES if missing(name) is None)


def load_block(runtime: str, bundle: Bundle, block: str, *, threads: int = 1, site: Site | None = None) -> BlockRuntime:
    """Load a block's graphs and starting state.

    Args:
        runtime: one of RUNTIMES. bundle: an opened bundle; its files are not needed once this returns.
        block: the block's name. threads: threads of one training step; "reference" always uses one, GPUs do not count.
        site: whom to tell of work that takes minutes, who may stop it, and where to keep its results.

    Raises:
        ConfigError: unknown runtime or threads < 1. MissingExtraError: the runtime is not installed.
        BundleError: no such block, or a graph or state that does not load or fit. BoardError: the GPU failed.
        LoadHalted: the site stopped it.
    """
    check_runtime(runtime)
    if threads < 1:
        raise ConfigError(f"the number of threads must be at least 1, not {threads}")
    if runtime == "reference":
        from edgebll_devices.runtimes.reference import ReferenceBlock

        return ReferenceBlock(bundle, block)
    reason = missing(runtime)
    if reason is not None:
        raise MissingExtraError(reason)
    if runtime == "tensorrt":
        from edgebll_devices.runtimes.tensorrt import load_tensorrt_block

        return load_tensorrt_block(bundle, block, site or Site())
    if runtime != "onnxruntime":
        from edgebll_devices.runtimes.onnxruntime_gpu import load_ort_gpu_block

        return load_ort_gpu_block(runtime, bundle, block, threads=threads, site=site or Site())
    from edgebll_devices.runtimes.onnxruntime_cpu import OrtBlock

    return OrtBlock(bundle, block, threads=threads)
