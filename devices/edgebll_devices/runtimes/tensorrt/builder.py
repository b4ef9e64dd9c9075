"""From an ONNX graph to a serialised TensorRT engine. Takes seconds on a PC and minutes on a Jetson, so it says so."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgebll.kernel.bundle.onnx_file import read_model
from edgebll.kernel.errors import BoardError, BundleError
from edgebll.kernel.execution.load_context import LoadContext
from edgebll_devices.runtimes.tensorrt.callbacks import BuildProgress, Messages, make_logger, make_monitor
from edgebll_devices.runtimes.tensorrt.find_library import Library
from edgebll_devices.runtimes.tensorrt.precision import state_precisions
from edgebll_devices.runtimes.tensorrt.progress_heartbeat import Heartbeat

_log = logging.getLogger(__name__)

_MAX_ERRORS = 5


@dataclass(frozen=True)
class BuildOptions:
    """What decides about an engine besides graph, GPU and version.

    Attributes:
        workspace_bytes: scratch memory a kernel may take at most; 0 for no limit.
        tf32: whether float32 products may be rounded to 10 bits of mantissa, which golden vectors do not allow.
        level: how long TensorRT may search, 0 to 5; None for its default. Version 8.5 has no levels.
        capabilities: GPUs to build for, as TensorRT for RTX calls them ("SM86"); () for the one here.
    """

    workspace_bytes: int = 0
    tf32: bool = False
    level: int | None = None
    capabilities: tuple[str, ...] = ()


@dataclass(frozen=True)
class Built:
    """A serialised engine, what TensorRT warned of, and its timing cache for the next build (b"" if it has none)."""

    engine: bytes
    warnings: tuple[str, ...]
    timings: bytes


class Builder:
    """Builds engines with one TensorRT.

    Args:
        library: TensorRT.
        load_context: whom to tell, and who may stop a build.
    """

    def __init__(self, library: Library, load_context: LoadContext) -> None:
        self._library, self._load_context = library, load_context
        self.messages = Messages()
        self.logger = make_logger(library.trt, self.messages)

    def build(self, where: str, graph: bytes, options: BuildOptions, timings: bytes = b"") -> Built:
        """Build an engine.

        Args:
            where: the graph, for messages.
            graph: content of the ONNX file.
            options: what the builder may do: precision, workspace, level.
            timings: timing cache of an earlier build.

        Raises:
            BundleError: TensorRT's parser refuses the graph. BoardError: no engine came of it. LoadHalted: it was stopped.
        """
        self._load_context.check()
        self.messages.clear()
        progress = BuildProgress()
        what = f"building {where} for {self._library.title}"
        with Heartbeat(what, self._load_context.say, detail=progress.words):
            builder = self._library.trt.Builder(self.logger)
            network = self._parse(builder, where, graph)
            config, cache = self._configure(builder, network, options, timings)
            monitor = make_monitor(self._library.trt, progress, self._load_context.halted)
            if monitor is not None:
                config.progress_monitor = monitor
            engine = builder.build_serialized_network(network, config)
            if engine is None:
                self._load_context.check()
                raise BoardError(self._failed(where))
        for warning in self.messages.warnings:
            _log.info("%s: TensorRT warns: %s", where, warning)
        return Built(bytes(engine), tuple(self.messages.warnings), b"" if cache is None else bytes(cache.serialize()))

    def _parse(self, builder: Any, where: str, graph: bytes) -> Any:
        self._library.load_plugins(self.logger)
        network = self._library.create_network(builder)
        parser = self._library.trt.OnnxParser(network, self.logger)
        if not parser.parse(graph):
            errors = self._library.parser_errors(parser, node_names(graph))
            shown = "; ".join(errors[:_MAX_ERRORS]) or "; ".join(self.messages.errors[:1]) or "it gives no reason"
            more = f" and {len(errors) - _MAX_ERRORS} more" if len(errors) > _MAX_ERRORS else ""
            raise BundleError(
                f"{where} does not parse in {self._library.title}: {shown}{more}; export the bundle with --target tensorrt-..."
            )
        return network

    def _configure(self, builder: Any, network: Any, options: BuildOptions, timings: bytes) -> tuple[Any, Any]:
        trt = self._library.trt
        config = builder.create_builder_config()
        if options.workspace_bytes:
            config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_bytes)
        if options.tf32:
            config.set_flag(trt.BuilderFlag.TF32)
        else:
            config.clear_flag(trt.BuilderFlag.TF32)
        if hasattr(trt.BuilderFlag, "REQUIRE_USER_ALLOCATION"):  # TensorRT for RTX; else its work may not be captured
            config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)
        if options.level is not None and hasattr(config, "builder_optimization_level"):
            config.builder_optimization_level = options.level
        if options.capabilities:
            config.num_compute_capabilities = len(options.capabilities)
            for index, name in enumerate(options.capabilities):
                config.set_compute_capability(getattr(trt.ComputeCapability, name), index)
        if not self._library.strongly_typed:
            state_precisions(trt, network, config)
        return config, self._attach_timings(config, timings)

    def _attach_timings(self, config: Any, timings: bytes) -> Any:
        """Let the build use and extend measured kernel times; None where this TensorRT keeps none."""
        if self._library.is_rtx:  # it times nothing: kernels are compiled where they run
            return None
        for content in (timings, b""):
            cache = config.create_timing_cache(content)
            if cache is not None and config.set_timing_cache(cache, False):
                return cache
        return None

    def _failed(self, where: str) -> str:
        said = "; ".join(self.messages.errors[-2:]) or "it gives no reason"
        return f"{self._library.title} could not build {where}: {said}"


def node_names(graph: bytes) -> Sequence[str]:
    """Name of each node of an ONNX file, its first output where it has none; () if the file cannot be read."""
    try:
        return [node.name or (node.outputs[0] if node.outputs else "") for node in read_model(graph).nodes]
    except BundleError:
        return ()
