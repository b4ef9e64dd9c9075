"""ONNX Runtime on an NVIDIA GPU, through its CUDA or its TensorRT provider. The state stays there, in two sets that swap."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime

from edgebll.kernel.bundle import Bundle, check_state
from edgebll.kernel.errors import BoardError, ConfigError
from edgebll.kernel.execution.block_runtime import BlockRuntime, Tensor, Trained
from edgebll.kernel.execution.load_context import LoadContext
from edgebll.kernel.spec.manifest import NEXT, BlockSpec, TensorSpec
from edgebll.kernel.spec.time_chunks import step_input, step_output
from edgebll.kernel.state.block_state import Array, State
from edgebll_devices.runtimes.aligned_arrays import empty_aligned
from edgebll_devices.runtimes.onnxruntime_session import first_line, load_session

_log = logging.getLogger(__name__)

_CUDA, _TENSORRT = "CUDAExecutionProvider", "TensorrtExecutionProvider"
#: Convolution algorithms by rule, not by a race that may end otherwise next time; products in whole float32.
_CUDA_OPTIONS = {"device_id": "0", "cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0", "do_copy_in_default_stream": "1"}
_MAX_LISTED = 8


def load_ort_gpu_block(runtime: str, bundle: Bundle, block: str, *, threads: int, load_context: LoadContext) -> OrtGpuBlock:
    """Load a block on the first GPU.

    Args:
        runtime: "onnxruntime-cuda" or "onnxruntime-tensorrt".
        bundle: an opened bundle.
        block: the block's name in it.
        threads: of the processor, for what the GPU does not compute.
        load_context: where engines are kept that the TensorRT provider builds.

    Raises:
        BoardError: ONNX Runtime cannot use the GPU. BundleError: a graph does not load or fit.
    """
    if hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()  # finds CUDA and cuDNN in NVIDIA's wheels too
    providers: list[Any] = [(_CUDA, _CUDA_OPTIONS)]
    if runtime == "onnxruntime-tensorrt":
        os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")  # this provider has no option for it
        providers.insert(0, (_TENSORRT, _tensorrt_options(load_context)))
        load_context.say(f"ONNX Runtime prepares {block} with TensorRT; the first time this takes minutes on a small board")
    return OrtGpuBlock(bundle, block, providers, "cuda", threads=threads)


def _tensorrt_options(load_context: LoadContext) -> dict[str, str]:
    """Engines and timings are kept; types are those of the graph, so no float16 beyond it."""
    folder = str(load_context.engines / "onnxruntime")
    return {
        "device_id": "0",
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": folder,
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": folder,
        "trt_fp16_enable": "0",
    }


class OrtGpuBlock(BlockRuntime):
    """A block on one of ONNX Runtime's devices.

    Args:
        bundle: an opened bundle.
        block: the block's name in it.
        providers: what computes, in order of preference, as for InferenceSession.
        device: ONNX Runtime's name of where the state lies, "cuda" (or "cpu" in tests).
        threads: of the processor.

    Raises:
        BoardError: the first provider does not start. BundleError: a graph does not load or fit.
    """

    def __init__(self, bundle: Bundle, block: str, providers: Sequence[Any], device: str, *, threads: int = 1) -> None:
        self.spec = bundle.manifest.block(block)
        wanted = [provider if isinstance(provider, str) else provider[0] for provider in providers]
        sessions = {}
        for graph in self.spec.graphs:
            sessions[graph] = load_session(bundle, self.spec, graph, threads, providers, record=True)
            _check_started(self.spec, graph, sessions[graph], wanted)
        first, second = ({t.name: _device_value(t, device) for t in self.spec.state} for _ in range(2))
        self._now, self._then = self._side(sessions, first, second), self._side(sessions, second, first)
        self.load_state(bundle.state(block))

    def _side(self, sessions: Mapping[str, Any], here: dict[str, Any], there: dict[str, Any]) -> _Side:
        spec = self.spec
        updated = {name + NEXT: value for name, value in there.items()}
        metrics = (TensorSpec("metrics", "float32", (len(spec.metrics),)),) if spec.metrics else ()
        stepped, a = (TensorSpec("a", of.dtype, of.shape) for of in (step_output(spec), spec.output))
        beta = None if spec.beta is None else TensorSpec("beta", spec.beta.dtype, spec.beta.shape)
        return _Side(
            state=here,
            step=_DeviceGraph(sessions["step"], here, updated, (stepped, *metrics, *spec.sent)),
            forward=_DeviceGraph(sessions["forward"], {name: here[name] for name in spec.forward_state}, {}, (a,)),
            feedback=None
            if beta is None
            else _DeviceGraph(sessions["feedback"], {name: here[name] for name in spec.feedback_state}, {}, (beta,)),
        )

    def train(
        self, x: Tensor, y: Tensor, scalars: Mapping[str, float], received: Mapping[str, Tensor] | None = None
    ) -> Trained:
        """See BlockRuntime."""
        self._check("x", x, step_input(self.spec))
        self._check("y", y, self.spec.labels)
        given = {name: np.asarray(self._scalar(name, scalars), np.float32) for name in self.spec.scalars}
        given.update(self._received(received), **({"y": y} if self.spec.takes_labels else {}))
        a, *others = self._run(self._now.step, {"x": x, **given}, "a training step")
        self._now, self._then = self._then, self._now
        numbers = others.pop(0).tolist() if self.spec.metrics else ()
        sent = {tensor.name: value for tensor, value in zip(self.spec.sent, others, strict=True)}
        return a, dict(zip(self.spec.metrics, numbers, strict=True)), sent

    def evaluate(self, x: Tensor, inputs: Mapping[str, Tensor] | None = None) -> Tensor:
        """See BlockRuntime."""
        self._check("x", x, self.spec.input)
        return self._run(self._now.forward, {"x": x, **self._inputs(inputs)}, "an evaluation")[0]

    def feedback(self, y: Tensor) -> Tensor:
        """See BlockRuntime."""
        if self._now.feedback is None:
            raise ConfigError(f"{self.spec.name} has no feedback head; the rule of this bundle does not use one")
        self._check("y", y, self.spec.labels)
        return self._run(self._now.feedback, {"y": y}, "the feedback head")[0]

    def _run(self, graph: _DeviceGraph, inputs: Mapping[str, Tensor], what: str) -> list[Tensor]:
        try:
            return graph.run(inputs)
        except Exception as error:  # ONNX Runtime's exceptions have no base of their own
            raise BoardError(f"{self.spec.name}: ONNX Runtime failed in {what} ({first_line(error)})") from error

    def state(self) -> dict[str, Array]:
        """See BlockRuntime."""
        return {name: np.array(value.numpy()) for name, value in self._now.state.items()}

    def load_state(self, state: State) -> None:
        """See BlockRuntime."""
        check_state(self.spec, state, self.spec.name)
        for name, value in self._now.state.items():
            value.update_inplace(np.asarray(state[name], order="C"))

    def close(self) -> None:
        """See BlockRuntime."""
        self.__dict__.pop("_now", None)
        self.__dict__.pop("_then", None)


@dataclass(frozen=True)
class _Side:
    """One set of state buffers and the graphs that read it; `step` writes the other side's set."""

    state: dict[str, Any]
    step: _DeviceGraph
    forward: _DeviceGraph
    feedback: _DeviceGraph | None


class _DeviceGraph:
    """A session whose state inputs and outputs are bound once to memory of the device."""

    def __init__(
        self, session: Any, inputs: Mapping[str, Any], updated: Mapping[str, Any], outputs: Sequence[TensorSpec]
    ) -> None:
        self._session, self._outputs = session, outputs
        self._binding = session.io_binding()
        for name, value in inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        for name, value in updated.items():
            self._binding.bind_ortvalue_output(name, value)

    def run(self, inputs: Mapping[str, Tensor]) -> list[Tensor]:
        """Compute; the results are new, read-only arrays."""
        held = {name: np.array(value, value.dtype.newbyteorder("="), order="C") for name, value in inputs.items()}
        for name, value in held.items():
            self._binding.bind_cpu_input(name, value)
        results = [empty_aligned(tensor) for tensor in self._outputs]
        for tensor, result in zip(self._outputs, results, strict=True):
            self._binding.bind_ortvalue_output(tensor.name, onnxruntime.OrtValue.ortvalue_from_numpy(result))
        self._session.run_with_iobinding(self._binding)
        for result in results:
            result.flags.writeable = False
        return results


def _device_value(tensor: TensorSpec, device: str) -> Any:
    return onnxruntime.OrtValue.ortvalue_from_shape_and_type(list(tensor.shape), np.dtype(tensor.dtype).type, device, 0)


def _check_started(spec: BlockSpec, graph: str, session: Any, wanted: Sequence[str]) -> None:
    """Refuse a session that runs elsewhere than asked, and say which of its nodes do."""
    if wanted[0] not in session.get_providers():
        raise BoardError(
            f"ONNX Runtime could not start {wanted[0]}, so {spec.name} would run on the processor; check that CUDA, cuDNN "
            f"{'and TensorRT ' if wanted[0] == _TENSORRT else ''}are of the versions it was built for, or use onnxruntime"
        )
    elsewhere = nodes_elsewhere(session, wanted[0])
    if elsewhere:
        listed = ", ".join(elsewhere[:_MAX_LISTED]) + (", ..." if len(elsewhere) > _MAX_LISTED else "")
        _log.warning("%s/%s.onnx: %d nodes do not run on %s: %s", spec.name, graph, len(elsewhere), wanted[0], listed)


def nodes_elsewhere(session: Any, provider: str) -> list[str]:
    """The nodes of a session that another provider computes, as "operator name (provider)"; [] where it cannot be told."""
    ask = getattr(session, "get_provider_graph_assignment_info", None)
    try:
        parts = ask() if ask is not None else []
    except Exception as error:  # ONNX Runtime's exceptions have no base of their own
        _log.debug("ONNX Runtime does not tell which nodes run where (%s)", first_line(error))
        return []
    return [f"{n.op_type} {n.name} ({p.ep_name})" for p in parts if p.ep_name != provider for n in p.get_nodes()]
