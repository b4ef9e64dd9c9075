"""Which runtimes there are and where each lives: what computes blocks is imported when a block is loaded with it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import MissingExtraError
from edgebll.kernel.execution.block_runtime import BlockRuntime
from edgebll.kernel.execution.load_context import LoadContext
from edgebll.kernel.spec.runtime_names import RUNTIMES, check_runtime
from edgebll.kernel.state.block_state import Array
from edgebll.kernel.support.bounds import THREADS, WrongValue


class Loader(NamedTuple):
    """How a runtime loads a block.

    Attributes:
        target: "module:function", which takes `bundle` and `block`.
        options: what it takes besides: some of "runtime", "threads" and "load_context".
    """

    target: str
    options: tuple[str, ...]


_RUNTIMES = "edgebll_devices.runtimes"
_GPU = Loader(f"{_RUNTIMES}.onnxruntime_gpu:load_ort_gpu_block", ("runtime", "threads", "load_context"))
LOADERS: dict[str, Loader] = {
    "onnxruntime": Loader(f"{_RUNTIMES}.onnxruntime_cpu:OrtBlock", ("threads",)),
    "reference": Loader(f"{_RUNTIMES}.reference:ReferenceBlock", ()),
    "tensorrt": Loader(f"{_RUNTIMES}.tensorrt:load_tensorrt_block", ("load_context",)),
    "onnxruntime-cuda": _GPU,
    "onnxruntime-tensorrt": _GPU,
    "ordered": Loader("edgebll.kernel.microcontroller.ordered_block:OrderedBlock", ()),
    "serial": Loader(f"{_RUNTIMES}.serial_line:SerialBlock", ("load_context",)),
}
#: What says why a runtime cannot be used here, and runtimes that compute a quantised forward pass.
WHY_MISSING = f"{_RUNTIMES}.availability:missing"
INT8_FORWARDS = {
    "onnxruntime": Loader(f"{_RUNTIMES}.int8_forward:Int8Forward", ("threads",)),
    "ordered": Loader("edgebll.kernel.microcontroller.ordered_block:OrderedInt8Forward", ()),
    "serial": Loader(f"{_RUNTIMES}.serial_line:SerialInt8Forward", ("load_context",)),
}


class Forward(Protocol):
    """Anything that evaluates a block."""

    def evaluate(self, x: Array, inputs: Mapping[str, Array] | None = None) -> Array:
        """x (B, ...), and side inputs by name, to a (B, ...)."""

    def close(self) -> None:
        """Give back what it holds."""


def resolved(target: str) -> Callable[..., Any]:
    """Import what "module:name" says."""
    module, _, name = target.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


def missing(runtime: str) -> str | None:
    """Why a runtime cannot be used here, as a sentence that says what to do; None if it can.

    Args:
        runtime: one of RUNTIMES.
    """
    reason: str | None = resolved(WHY_MISSING)(runtime)
    return reason


def available_runtimes() -> tuple[str, ...]:
    """Names of the runtimes that can be used on this machine; finds out without importing them."""
    return tuple(name for name in RUNTIMES if missing(name) is None)


def load_block(
    runtime: str, bundle: Bundle, block: str, *, threads: int = 1, load_context: LoadContext | None = None
) -> BlockRuntime:
    """Load a block's graphs and starting state.

    Args:
        runtime: one of RUNTIMES.
        bundle: an opened bundle; its files are not needed once this returns.
        block: the block's name.
        threads: threads of one training step; "reference" and "ordered" always use one, GPUs do not count.
        load_context: whom to tell of work that takes minutes, who may stop it, and where to keep its results.

    Raises:
        ConfigError: unknown runtime or threads < 1. MissingExtraError: the runtime is not installed.
        BundleError: no such block, or a graph or state that does not load or fit. BoardError: the GPU failed.
        LoadHalted: `load_context` stopped it.
    """
    check_runtime(runtime)
    THREADS.check("the number of threads", threads)
    reason = missing(runtime)
    if reason is not None:
        raise MissingExtraError(reason)
    loader = LOADERS[runtime]
    given = {"runtime": runtime, "threads": threads, "load_context": load_context or LoadContext()}
    loaded: BlockRuntime = resolved(loader.target)(bundle=bundle, block=block, **{name: given[name] for name in loader.options})
    return loaded


def load_int8_forward(bundle: Bundle, block: str, runtime: str = "onnxruntime", *, threads: int = 1) -> Forward:
    """A block's quantised forward pass.

    Args:
        bundle: of `edgebll quantize`.
        block: the block's name.
        runtime: one of INT8_FORWARDS.
        threads: threads of one call; "ordered" always uses one, and "serial" has the microcontroller of $EDGEBLL_SERIAL.

    Raises:
        WrongValue: a runtime that takes none. MissingExtraError: no ONNX Runtime. ConfigError: "serial", and no port is named.
        BundleError: the bundle is not quantised, or the graph does not load or run there.
        BoardError: the microcontroller does not answer, has no room, or firmware without int8.
    """
    check_runtime(runtime)
    if runtime not in INT8_FORWARDS:
        *others, last = INT8_FORWARDS
        raise WrongValue("runtime", f"must be {', '.join(others)} or {last} for int8 forward graphs, not {runtime}")
    loader = INT8_FORWARDS[runtime]
    given = {"threads": threads, "load_context": LoadContext()}
    loaded: Forward = resolved(loader.target)(bundle, block, **{name: given[name] for name in loader.options})
    return loaded
