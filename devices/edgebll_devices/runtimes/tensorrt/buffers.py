"""Tensors packed into one stretch of memory, on the GPU alone or mirrored in page-locked memory of the host."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from edgebll.kernel.spec.manifest import TensorSpec
from edgebll_devices.runtimes.tensorrt.cuda import DEVICE_TO_HOST, HOST_TO_DEVICE, Cuda, PinnedBuffer

#: TensorRT wants tensors at multiples of 256 bytes.
ALIGNMENT = 256


class Layout:
    """Where each tensor lies in a stretch of memory.

    Attributes:
        tensors: by name.
        offsets: first byte of each.
        size_bytes: of the whole.
    """

    def __init__(self, tensors: Iterable[TensorSpec]) -> None:
        self.tensors = {tensor.name: tensor for tensor in tensors}
        self.offsets: dict[str, int] = {}
        self.size_bytes = 0
        for tensor in self.tensors.values():
            self.offsets[tensor.name] = self.size_bytes
            self.size_bytes += math.ceil(max(1, tensor.size_bytes) / ALIGNMENT) * ALIGNMENT
        self.size_bytes = max(self.size_bytes, ALIGNMENT)  # a frozen block has no state, and memory of no bytes no address

    def span(self, names: Iterable[str]) -> tuple[int, int]:
        """First byte and length of the shortest stretch that holds these tensors."""
        starts = [self.offsets[name] for name in names]
        ends = [self.offsets[name] + self.tensors[name].size_bytes for name in names]
        return (min(starts), max(ends) - min(starts)) if starts else (0, 0)

    def view(self, memory: np.ndarray[Any, np.dtype[np.uint8]], name: str) -> np.ndarray[Any, Any]:
        """A tensor in host memory of this layout."""
        tensor, start = self.tensors[name], self.offsets[name]
        return memory[start : start + tensor.size_bytes].view(tensor.dtype).reshape(tensor.shape)


class DeviceTensors:
    """Tensors on the GPU; what is in them at first is zero.

    Args:
        cuda: the GPU.
        tensors: the tensors.

    Attributes:
        addresses: of each tensor by name.
    """

    def __init__(self, cuda: Cuda, tensors: Iterable[TensorSpec]) -> None:
        self._cuda = cuda
        self.layout = Layout(tensors)
        self._buffer = cuda.device_buffer(self.layout.size_bytes)
        cuda.stream.clear(self._buffer)
        self.addresses = {name: self._buffer.address + offset for name, offset in self.layout.offsets.items()}

    def upload(self, pinned: PinnedBuffer, names: Iterable[str] | None = None) -> None:
        """Enqueue the copy of these tensors (default all) from host memory of the same layout."""
        start, size = self.layout.span(list(self.layout.tensors if names is None else names))
        self._cuda.stream.copy(self._buffer.address + start, pinned.address + start, size, HOST_TO_DEVICE)

    def download(self, pinned: PinnedBuffer, names: Iterable[str] | None = None) -> None:
        """Enqueue the copy of these tensors (default all) to host memory of the same layout."""
        start, size = self.layout.span(list(self.layout.tensors if names is None else names))
        self._cuda.stream.copy(pinned.address + start, self._buffer.address + start, size, DEVICE_TO_HOST)


class MirroredTensors(DeviceTensors):
    """Tensors on the GPU, each with its place in page-locked host memory.

    Attributes:
        host: arrays by name, for as long as the GPU is open.
    """

    def __init__(self, cuda: Cuda, tensors: Iterable[TensorSpec]) -> None:
        super().__init__(cuda, tensors)
        self._pinned = cuda.pinned_buffer(self.layout.size_bytes)
        self.host = {name: self.layout.view(self._pinned.bytes, name) for name in self.layout.tensors}

    def send(self, names: Iterable[str]) -> None:
        """Enqueue the copy of these tensors to the GPU, in one piece with what lies between."""
        self.upload(self._pinned, names)

    def fetch(self, names: Iterable[str]) -> None:
        """Enqueue the copy of these tensors from the GPU, in one piece with what lies between."""
        self.download(self._pinned, names)
