"""Loading a block on TensorRT: engines from the cache or built, checked, and put on the GPU."""

from __future__ import annotations

import logging
from typing import Any

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import BoardError
from edgebll.kernel.execution.load_context import LoadContext
from edgebll_devices.runtimes.tensorrt.block import TensorRTBlock
from edgebll_devices.runtimes.tensorrt.builder import Builder, BuildOptions
from edgebll_devices.runtimes.tensorrt.cuda import Cuda
from edgebll_devices.runtimes.tensorrt.cudart import open_cudart
from edgebll_devices.runtimes.tensorrt.engine import TensorRTEngine
from edgebll_devices.runtimes.tensorrt.engine_cache import EngineCache, engine_key, place_key
from edgebll_devices.runtimes.tensorrt.find_library import Library, load_library
from edgebll_devices.runtimes.tensorrt.gpu_info import GpuInfo, describe_gpu

_log = logging.getLogger(__name__)

#: A kernel may take this share of the GPU's memory as scratch; a Jetson shares it with everything else.
_WORKSPACE_SHARE, _WORKSPACE_SHARE_SHARED = 2, 8


class Workshop:
    """Makes engines for one GPU with one TensorRT.

    Args:
        library: TensorRT.
        gpu: the GPU.
        load_context: whom to tell, and where engines are kept.
        options: of all builds.
    """

    def __init__(self, library: Library, gpu: GpuInfo, load_context: LoadContext, options: BuildOptions | None = None) -> None:
        self._library, self._gpu = library, gpu
        self._options = options or default_options(gpu)
        self._cache = EngineCache(load_context.engines)
        self._builder = Builder(library, load_context)

    def engine(self, where: str, graph: bytes) -> Any:
        """An ICudaEngine for a graph, from the cache if it is there and this TensorRT takes it.

        Raises:
            BundleError: the parser refuses the graph. BoardError: it does not build or does not load. LoadHalted: stopped.
        """
        key = engine_key(graph, self._gpu, self._library.title, self._options)
        kept = self._cache.engine(key)
        if kept is not None:
            engine = self._library.deserialize(self._builder.logger, kept)
            if engine is not None:
                _log.info("%s: the engine was built before", where)
                return engine
            _log.warning("%s: TensorRT does not take the engine kept for it; it is built anew", where)
            self._cache.drop_engine(key)
        content = self._build(where, graph)
        engine = self._library.deserialize(self._builder.logger, content)
        if engine is None:
            said = "; ".join(self._builder.messages.errors[-2:]) or "it gives no reason"
            raise BoardError(f"{self._library.title} does not load the engine it just built from {where}: {said}")
        self._cache.keep_engine(key, content)
        return engine

    def _build(self, where: str, graph: bytes) -> bytes:
        place = place_key(self._gpu, self._library.title)
        built = self._builder.build(where, graph, self._options, self._cache.timings(place))
        self._cache.keep_timings(place, built.timings)
        return built.engine


def default_options(gpu: GpuInfo) -> BuildOptions:
    """Build options for a GPU: a limit on scratch memory that is the same every time."""
    share = _WORKSPACE_SHARE_SHARED if gpu.integrated else _WORKSPACE_SHARE
    return BuildOptions(workspace_bytes=gpu.memory_bytes // share)


def load_tensorrt_block(
    bundle: Bundle, block: str, load_context: LoadContext, options: BuildOptions | None = None
) -> TensorRTBlock:
    """Load a block on the first GPU.

    Args:
        bundle: an opened bundle.
        block: the block's name in it.
        load_context: whom to tell of builds, and where engines are kept.
        options: of the builds; by default those of `default_options`.

    Raises:
        MissingExtraError: TensorRT or CUDA's runtime library is not installed. BoardError: no GPU, or it failed.
        BundleError: no such block, or TensorRT refuses a graph.
    """
    spec = bundle.manifest.block(block)
    library, cudart = load_library(), open_cudart()
    gpu = describe_gpu(cudart)
    workshop = Workshop(library, gpu, load_context, options)
    engines = {}
    for graph in spec.graphs:
        where = f"{bundle.path}/{block}/{graph}.onnx"
        engines[graph] = TensorRTEngine(library, workshop.engine(where, bundle.graph(block, graph)), where)
    _log.info("%s runs on %s with %s", block, gpu, library.title)
    return TensorRTBlock(spec, bundle.state(block), engines, Cuda(cudart))
