"""What is known of a GPU: enough to tell apart those that need engines of their own."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path

from edgebll.kernel.errors import BoardError
from edgebll_devices.runtimes.tensorrt.cudart import Cudart

#: cudaDeviceAttr of https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__TYPES.html
_MULTIPROCESSORS, _INTEGRATED, _MAJOR, _MINOR = 16, 18, 75, 76
_MODEL = Path("/proc/device-tree/model")


@dataclass(frozen=True)
class GpuInfo:
    """A GPU.

    Attributes:
        name: as the driver calls it.
        capability: compute capability, e.g. (8, 7).
        multiprocessors: how many.
        memory_bytes: all of its memory; the board's where it is shared.
        integrated: whether it shares the board's memory.
    """

    name: str
    capability: tuple[int, int]
    multiprocessors: int
    memory_bytes: int
    integrated: bool

    def __str__(self) -> str:
        return f"{self.name} (sm_{self.capability[0]}{self.capability[1]}, {self.multiprocessors} multiprocessors)"


def describe_gpu(cudart: Cudart) -> GpuInfo:
    """The first GPU; CUDA_VISIBLE_DEVICES chooses another.

    Raises:
        BoardError: there is none.
    """
    if cudart.number("cudaGetDeviceCount") < 1:
        raise BoardError("CUDA finds no GPU on this machine; look at CUDA_VISIBLE_DEVICES, or use the runtime onnxruntime")
    cudart.call("cudaSetDevice", 0)
    total, free = ctypes.c_size_t(), ctypes.c_size_t()
    cudart.call("cudaMemGetInfo", ctypes.byref(free), ctypes.byref(total))
    major, minor, multiprocessors, integrated = (
        cudart.number("cudaDeviceGetAttribute", attribute, 0) for attribute in (_MAJOR, _MINOR, _MULTIPROCESSORS, _INTEGRATED)
    )
    name = _driver_name() or _board_name() or f"GPU of compute capability {major}.{minor}"
    return GpuInfo(name, (major, minor), multiprocessors, total.value, bool(integrated))


def _driver_name(path: str = "libcuda.so.1") -> str:
    """What the driver calls the first GPU; "" if it cannot be asked. The runtime library has no stable way to ask."""
    try:
        driver = ctypes.CDLL(path)
        name, device = ctypes.create_string_buffer(256), ctypes.c_int()
        if driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(device), 0) or driver.cuDeviceGetName(name, len(name), device):
            return ""
    except (OSError, AttributeError):
        return ""
    return name.value.decode(errors="replace")


def _board_name() -> str:
    """The model of a Jetson, as the device tree names it; "" on other machines."""
    try:
        return _MODEL.read_bytes().rstrip(b"\0").decode(errors="replace")
    except OSError:
        return ""
