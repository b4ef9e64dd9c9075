"""What a block needs of an engine, and TensorRT's engines in that shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from edgebll.kernel.bundle.graph_signature import Signature
from edgebll.kernel.errors import BoardError, BundleError
from edgebll.kernel.spec.manifest import TensorSpec
from edgebll_devices.runtimes.tensorrt.find_library import Library


class Execution(Protocol):
    """An engine with fixed addresses of its tensors."""

    @property
    def capturable(self) -> bool:
        """Whether its work may be captured into a CUDA graph."""

    def enqueue(self, stream: int) -> None:
        """Put the engine's work into a stream (cudaStream_t). Raises BoardError if that fails."""


class CompiledGraph(Protocol):
    """A compiled graph.

    Attributes:
        signature: its inputs and outputs as they lie in the GPU's memory.
        scratch_bytes: memory it needs while it runs.
    """

    signature: Signature
    scratch_bytes: int

    def bind(self, addresses: Mapping[str, int], scratch: int, stream: int) -> Execution:
        """Prepare it to run on these addresses; tensors and scratch memory are the caller's."""


class TensorRTEngine:
    """An engine of TensorRT.

    Args:
        library: TensorRT.
        engine: the ICudaEngine.
        where: the graph, for messages.

    Raises:
        BundleError: a tensor has a data type edgebll does not know.
    """

    def __init__(self, library: Library, engine: Any, where: str) -> None:
        self._library, self._engine, self._where = library, engine, where
        self.scratch_bytes = library.scratch_bytes(engine)
        inputs: list[TensorSpec] = []
        outputs: list[TensorSpec] = []
        for index in range(engine.num_io_tensors):
            name = engine.get_tensor_name(index)
            tensor = self._tensor(name)
            (inputs if engine.get_tensor_mode(name) == library.trt.TensorIOMode.INPUT else outputs).append(tensor)
        self.signature = Signature(tuple(inputs), tuple(outputs))

    def _tensor(self, name: str) -> TensorSpec:
        shape = tuple(int(size) for size in self._engine.get_tensor_shape(name))
        if any(size < 0 for size in shape):
            raise BundleError(f"{self._where}: the size of {name!r} is not fixed; export the bundle again")
        return TensorSpec(name, self._library.dtype_name(self._engine.get_tensor_dtype(name)), shape)

    def bind(self, addresses: Mapping[str, int], scratch: int, stream: int) -> TensorRTExecution:
        """See CompiledGraph."""
        context = self._library.create_context(self._engine)
        self._library.set_scratch(context, scratch, self.scratch_bytes)
        for tensor in (*self.signature.inputs, *self.signature.outputs):
            if not context.set_tensor_address(tensor.name, addresses[tensor.name]):
                raise BoardError(f"{self._where}: TensorRT does not take the address of {tensor.name!r}; its log says why")
        return TensorRTExecution(context, self._where, self._library.is_capturable(context, stream))


class TensorRTExecution:
    """An execution context whose addresses are set."""

    def __init__(self, context: Any, where: str, capturable: bool) -> None:
        self._context, self._where = context, where
        self.capturable = capturable

    def enqueue(self, stream: int) -> None:
        """See Execution."""
        if not self._context.execute_async_v3(stream):
            raise BoardError(f"TensorRT could not start {self._where}; its log says why")
