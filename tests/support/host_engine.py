"""Stands for a TensorRT engine where there is no GPU: ONNX Runtime computes the graph on the addresses it is bound to.

Together with fake_cudart this runs everything of the TensorRT runtime but TensorRT itself.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.bundle.graph_signature import Signature, signature
from edgebll.kernel.spec.manifest import TensorSpec
from edgebll_devices.runtimes.onnxruntime_session import load_session
from edgebll_devices.runtimes.tensorrt.block import TensorRTBlock
from edgebll_devices.runtimes.tensorrt.cuda import Cuda
from support.fake_cudart import FakeCudart

_HOST_FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class HostEngine:
    """An Engine. `narrows`: keep int64 as int32, as TensorRT 8 does. `capturable`: what its executions say."""

    scratch_bytes = 1000

    def __init__(self, bundle: Bundle, block: str, graph: str, cudart: FakeCudart, *, narrows: bool, capturable: bool) -> None:
        spec = bundle.manifest.block(block)
        self.session = load_session(bundle, spec, graph, 1)
        self.whole, self.cudart, self.capturable = signature(spec, graph), cudart, capturable
        self.signature = self.whole
        if narrows:
            inputs, outputs = (
                tuple(replace(t, dtype="int32") if t.dtype == "int64" else t for t in tensors)
                for tensors in (self.whole.inputs, self.whole.outputs)
            )
            self.signature = Signature(inputs, outputs)

    def bind(self, addresses: Mapping[str, int], scratch: int, stream: int) -> HostExecution:
        return HostExecution(self, dict(addresses), scratch)


class HostExecution:
    """An Execution: its work is a host function in the stream, so it runs, and is captured, like a kernel."""

    def __init__(self, engine: HostEngine, addresses: dict[str, int], scratch: int) -> None:
        self._engine, self._addresses, self._scratch = engine, addresses, scratch
        self.capturable = engine.capturable
        self.errors: list[BaseException] = []
        self._callback = _HOST_FUNCTION(self._compute)  # CUDA holds its address only

    def enqueue(self, stream: int) -> None:
        if self.errors:
            raise self.errors[0]
        function = ctypes.cast(self._callback, ctypes.c_void_p)
        self._engine.cudart.hooks.cudaLaunchHostFunc(stream, function, None)

    def _compute(self, _: Any) -> None:
        try:
            ctypes.memset(self._scratch, 0x77, self._engine.scratch_bytes)
            known = {t.name: t for t in (*self._engine.signature.inputs, *self._engine.signature.outputs)}
            inputs = {t.name: self._at(known[t.name]).astype(t.dtype) for t in self._engine.whole.inputs}
            names = [t.name for t in self._engine.whole.outputs]
            for name, value in zip(names, self._engine.session.run(names, inputs), strict=True):
                self._at(known[name])[...] = value
        except BaseException as error:  # a callback of C has nowhere to raise
            self.errors.append(error)

    def _at(self, tensor: TensorSpec) -> np.ndarray[Any, Any]:
        memory: Any = (ctypes.c_uint8 * max(1, tensor.size_bytes)).from_address(self._addresses[tensor.name])
        return np.frombuffer(memory, np.uint8, tensor.size_bytes).view(tensor.dtype).reshape(tensor.shape)


def load_on_host(
    bundle: Bundle, block: str, cudart: FakeCudart, *, narrows: bool = False, capturable: bool = True
) -> TensorRTBlock:
    """A block on the TensorRT runtime with these doubles below it."""
    spec = bundle.manifest.block(block)
    engines = {graph: HostEngine(bundle, block, graph, cudart, narrows=narrows, capturable=capturable) for graph in spec.graphs}
    return TensorRTBlock(spec, bundle.state(block), engines, Cuda(cudart))
