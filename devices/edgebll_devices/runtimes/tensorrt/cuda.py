"""What the runtime needs of CUDA, as objects that free themselves: memory, one stream, captured graphs, events."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from edgebll.kernel.errors import BoardError
from edgebll_devices.runtimes.tensorrt.cudart import Cudart

HOST_TO_DEVICE, DEVICE_TO_HOST, DEVICE_TO_DEVICE = 1, 2, 3
_NON_BLOCKING = 1
#: Other threads of the process may use CUDA while this one captures.
_CAPTURE_THREAD_LOCAL = 1


class DeviceBuffer:
    """Memory on the GPU, at a multiple of 256 bytes.

    Attributes:
        address: where it begins.
        size_bytes: its size; at least 1, so that the address is never null.
    """

    def __init__(self, cudart: Cudart, size_bytes: int) -> None:
        self._cudart = cudart
        self.size_bytes = max(1, size_bytes)
        self.address = cudart.create("cudaMalloc", self.size_bytes)

    def free(self) -> None:
        """Give the memory back; a second call does nothing."""
        address, self.address = self.address, 0
        if address:
            self._cudart.call("cudaFree", address)


class PinnedBuffer:
    """Page-locked memory of the host, which the GPU copies from and to while the processor goes on.

    Attributes:
        address: where it begins, in the host's memory.
        size_bytes: its size; at least 1.
        bytes: the memory as a uint8 array; invalid once freed.
    """

    def __init__(self, cudart: Cudart, size_bytes: int) -> None:
        self._cudart = cudart
        self.size_bytes = max(1, size_bytes)
        self.address = cudart.create("cudaHostAlloc", self.size_bytes, 0)
        self.bytes: np.ndarray[Any, np.dtype[np.uint8]] = np.ctypeslib.as_array(
            (ctypes.c_uint8 * self.size_bytes).from_address(self.address)
        )

    def free(self) -> None:
        """Give the memory back; a second call does nothing."""
        address, self.address = self.address, 0
        if address:
            self._cudart.call("cudaFreeHost", address)


class CudaEvent:
    """A point in a stream, with its time."""

    def __init__(self, cudart: Cudart) -> None:
        self._cudart = cudart
        self.handle = cudart.create("cudaEventCreateWithFlags", 0)

    def wait(self) -> None:
        """Wait until the GPU has passed it."""
        self._cudart.call("cudaEventSynchronize", self.handle)

    def seconds_since(self, earlier: CudaEvent) -> float:
        """Seconds between two passed events, to about half a microsecond."""
        value = ctypes.c_float()
        self._cudart.call("cudaEventElapsedTime", ctypes.byref(value), earlier.handle, self.handle)
        return value.value / 1000

    def free(self) -> None:
        """Destroy it; a second call does nothing."""
        handle, self.handle = self.handle, 0
        if handle:
            self._cudart.call("cudaEventDestroy", handle)


class CudaGraph:
    """Work captured from a stream, started again with one call."""

    def __init__(self, cudart: Cudart, captured: int) -> None:
        self._cudart = cudart
        self._executable = cudart.create("cudaGraphInstantiateWithFlags", captured, 0)

    def launch(self, stream: CudaStream) -> None:
        """Enqueue the work."""
        self._cudart.call("cudaGraphLaunch", self._executable, stream.handle)

    def free(self) -> None:
        """Destroy it; a second call does nothing."""
        executable, self._executable = self._executable, 0
        if executable:
            self._cudart.call("cudaGraphExecDestroy", executable)


class CudaStream:
    """A queue of work for the GPU, apart from the default stream.

    Attributes:
        handle: the cudaStream_t.
    """

    def __init__(self, cudart: Cudart) -> None:
        self._cudart = cudart
        self.handle = cudart.create("cudaStreamCreateWithFlags", _NON_BLOCKING)

    def copy(self, target: int, source: int, size_bytes: int, kind: int) -> None:
        """Enqueue a copy between addresses; host memory must be pinned."""
        self._cudart.call("cudaMemcpyAsync", target, source, size_bytes, kind, self.handle)

    def clear(self, buffer: DeviceBuffer) -> None:
        """Enqueue setting all bytes to zero."""
        self._cudart.call("cudaMemsetAsync", buffer.address, 0, buffer.size_bytes, self.handle)

    def record(self, event: CudaEvent) -> None:
        """Enqueue an event."""
        self._cudart.call("cudaEventRecord", event.handle, self.handle)

    def wait(self) -> None:
        """Wait until all enqueued work is done.

        Raises:
            BoardError: some of it failed.
        """
        self._cudart.call("cudaStreamSynchronize", self.handle)

    def capture(self, enqueue: Callable[[], None]) -> CudaGraph:
        """Record what `enqueue` enqueues, without running it.

        Raises:
            BoardError: something in it cannot be captured; the stream is usable again.
        """
        self._cudart.call("cudaStreamBeginCapture", self.handle, _CAPTURE_THREAD_LOCAL)
        try:
            enqueue()
        except BaseException:
            with contextlib.suppress(BoardError):  # ends the capture; the first error says more
                self._destroy(self._end_capture())
            raise
        captured = self._end_capture()
        try:
            return CudaGraph(self._cudart, captured)
        finally:
            self._destroy(captured)

    def _end_capture(self) -> int:
        return self._cudart.create("cudaStreamEndCapture", self.handle, last=True)

    def _destroy(self, captured: int) -> None:
        if captured:
            self._cudart.call("cudaGraphDestroy", captured)

    def free(self) -> None:
        """Destroy it; a second call does nothing."""
        handle, self.handle = self.handle, 0
        if handle:
            self._cudart.call("cudaStreamDestroy", handle)


class Cuda:
    """One GPU: makes everything above and frees it all in `close`, the latest first."""

    def __init__(self, cudart: Cudart) -> None:
        self.cudart = cudart
        cudart.call("cudaSetDevice", 0)
        self._made: list[DeviceBuffer | PinnedBuffer | CudaEvent | CudaGraph | CudaStream] = []
        self.stream = self._keep(CudaStream(cudart))

    def _keep(self, thing: Any) -> Any:
        self._made.append(thing)
        return thing

    def device_buffer(self, size_bytes: int) -> DeviceBuffer:
        """New memory on the GPU."""
        buffer: DeviceBuffer = self._keep(DeviceBuffer(self.cudart, size_bytes))
        return buffer

    def pinned_buffer(self, size_bytes: int) -> PinnedBuffer:
        """New page-locked memory of the host."""
        buffer: PinnedBuffer = self._keep(PinnedBuffer(self.cudart, size_bytes))
        return buffer

    @contextlib.contextmanager
    def staging(self, size_bytes: int) -> Iterator[PinnedBuffer]:
        """Page-locked memory for a single use."""
        buffer = PinnedBuffer(self.cudart, size_bytes)
        try:
            yield buffer
        finally:
            buffer.free()

    def event(self) -> CudaEvent:
        """A new event."""
        event: CudaEvent = self._keep(CudaEvent(self.cudart))
        return event

    def capture(self, enqueue: Callable[[], None]) -> CudaGraph:
        """As CudaStream.capture, on the stream of this object."""
        graph: CudaGraph = self._keep(self.stream.capture(enqueue))
        return graph

    def close(self) -> None:
        """Wait for the GPU, then free everything; errors of a GPU that is lost already are passed over."""
        if self._made:
            with contextlib.suppress(BoardError):
                self.stream.wait()
        while self._made:
            with contextlib.suppress(BoardError):
                self._made.pop().free()
