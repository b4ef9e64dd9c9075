"""Which runtimes this machine can use, found out without importing any of them, and what to install where one is missing."""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Callable
from pathlib import Path

#: Nodes the driver makes: on PCs, on Jetsons (older, newer), under Windows' Linux.
_GPU_NODES = ("nvidia0", "nvidiactl", "nvhost-gpu", "nvhost-ctrl-gpu", "nvgpu", "dxg")
_ORT_GPU = (
    "on a PC: pip uninstall onnxruntime, then pip install onnxruntime-gpu; on a Jetson: the onnxruntime-gpu wheel for "
    "your JetPack from https://pypi.jetson-ai-lab.io"
)


def has_nvidia_gpu(dev: Path = Path("/dev")) -> bool:
    """Whether there is an NVIDIA GPU with its driver."""
    if any((dev / node).exists() for node in _GPU_NODES):
        return True
    try:
        ctypes.CDLL("libcuda.so.1")  # containers may hide the nodes' usual names
    except OSError:
        return False
    return True


def missing(runtime: str) -> str | None:
    """Why a runtime cannot be used here, as a sentence that says what to do; None if it can.

    Args:
        runtime: one of RUNTIMES.
    """
    return _CHECKS[runtime]()


def _always() -> str | None:
    return None


def _onnxruntime() -> str | None:
    if importlib.util.find_spec("onnxruntime") is None:
        return "the runtime onnxruntime is not installed; install it: pip install onnxruntime"
    return None


def _serial() -> str | None:
    if importlib.util.find_spec("serial") is None:
        return "the runtime serial is not installed; install it: pip install pyserial"
    return None


def _onnxruntime_with(runtime: str, provider: str) -> str | None:
    if not any(Path(folder, "capi", f"libonnxruntime_providers_{provider}.so").exists() for folder in _ort_folders()):
        return f"the runtime {runtime} needs an ONNX Runtime built with {provider.upper()}; {_ORT_GPU}"
    return _no_gpu(runtime)


def _ort_folders() -> list[str]:
    spec = importlib.util.find_spec("onnxruntime")
    return list(spec.submodule_search_locations or ()) if spec is not None else []


def _tensorrt() -> str | None:
    from edgebll_devices.runtimes.tensorrt.find_library import INSTALL, find_package

    if find_package() is None:
        return f"the runtime tensorrt needs TensorRT, which is not installed; {INSTALL}"
    return _no_gpu("tensorrt")


def _no_gpu(runtime: str) -> str | None:
    if has_nvidia_gpu():
        return None
    return f"the runtime {runtime} needs an NVIDIA GPU and its driver, and this machine has none; use onnxruntime"


_CHECKS: dict[str, Callable[[], str | None]] = {
    "onnxruntime": _onnxruntime,
    "reference": _always,
    "tensorrt": _tensorrt,
    "onnxruntime-cuda": lambda: _onnxruntime_with("onnxruntime-cuda", "cuda"),
    "onnxruntime-tensorrt": lambda: _onnxruntime_with("onnxruntime-tensorrt", "tensorrt"),
    "ordered": _always,
    "serial": _serial,
}
