"""CUDA's runtime library by way of ctypes: where it is, the signatures used, and errors as sentences.

Signatures: https://docs.nvidia.com/cuda/cuda-runtime-api/. Only functions that are the same in CUDA 11.4 to 13 are used.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator, Sequence
from ctypes import POINTER, c_char_p, c_float, c_int, c_size_t, c_uint, c_ulonglong, c_void_p
from pathlib import Path
from typing import Any

from edgebll.kernel.errors import BoardError, MissingExtraError

_OUT = POINTER(c_void_p)
_NUMBER = POINTER(c_int)
_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "cudaDriverGetVersion": (_NUMBER,),
    "cudaRuntimeGetVersion": (_NUMBER,),
    "cudaGetDeviceCount": (_NUMBER,),
    "cudaSetDevice": (c_int,),
    "cudaDeviceGetAttribute": (_NUMBER, c_int, c_int),
    "cudaDeviceGetPCIBusId": (c_char_p, c_int, c_int),
    "cudaMemGetInfo": (POINTER(c_size_t), POINTER(c_size_t)),
    "cudaMalloc": (_OUT, c_size_t),
    "cudaFree": (c_void_p,),
    "cudaHostAlloc": (_OUT, c_size_t, c_uint),
    "cudaFreeHost": (c_void_p,),
    "cudaMemcpyAsync": (c_void_p, c_void_p, c_size_t, c_int, c_void_p),
    "cudaMemsetAsync": (c_void_p, c_int, c_size_t, c_void_p),
    "cudaStreamCreateWithFlags": (_OUT, c_uint),
    "cudaStreamSynchronize": (c_void_p,),
    "cudaStreamDestroy": (c_void_p,),
    "cudaStreamBeginCapture": (c_void_p, c_int),
    "cudaStreamEndCapture": (c_void_p, _OUT),
    "cudaGraphInstantiateWithFlags": (_OUT, c_void_p, c_ulonglong),
    "cudaGraphLaunch": (c_void_p, c_void_p),
    "cudaGraphDestroy": (c_void_p,),
    "cudaGraphExecDestroy": (c_void_p,),
    "cudaEventCreateWithFlags": (_OUT, c_uint),
    "cudaEventRecord": (c_void_p, c_void_p),
    "cudaEventSynchronize": (c_void_p,),
    "cudaEventElapsedTime": (POINTER(c_float), c_void_p, c_void_p),
    "cudaEventDestroy": (c_void_p,),
    "cudaGetLastError": (),
}
_OUT_OF_MEMORY = 2
_SONAMES = ("libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0", "libcudart.so")
_TOOLKITS = ("/usr/local/cuda/lib64", "/usr/local/cuda/targets/aarch64-linux/lib", "/usr/local/cuda/targets/x86_64-linux/lib")
_INSTALL = (
    "on a Jetson install the package cuda-cudart of JetPack, on a PC: pip install nvidia-cuda-runtime, "
    "or name the library in EDGEBLL_CUDART"
)


class Cudart:
    """The opened library. Every call raises BoardError where CUDA reports an error.

    Args:
        path: file or soname of libcudart.

    Raises:
        MissingExtraError: it cannot be opened, or is older than CUDA 11.4.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self._library = ctypes.CDLL(path)
            for name, arguments in _FUNCTIONS.items():
                function = getattr(self._library, name)
                function.argtypes, function.restype = arguments, c_int
            self._library.cudaGetErrorString.argtypes = (c_int,)
            self._library.cudaGetErrorString.restype = c_char_p
        except (OSError, AttributeError) as error:
            raise MissingExtraError(f"{path} is not the runtime library of CUDA 11.4 or newer ({error}); {_INSTALL}") from error

    def call(self, function: str, *arguments: Any) -> None:
        """Call a function of the table above.

        Raises:
            BoardError: CUDA reports an error, with its words for it.
        """
        code = getattr(self._library, function)(*arguments)
        if code != 0:
            self._library.cudaGetLastError()  # else the next launch reports this error again
            raise BoardError(self._sentence(function, code))

    def _sentence(self, function: str, code: int) -> str:
        text = self._library.cudaGetErrorString(code) or b"unknown error"
        words = f"the GPU failed in {function}: {text.decode(errors='replace')} (CUDA error {code})"
        if code == _OUT_OF_MEMORY:
            return words + "; use a smaller batch or fewer blocks on this board"
        return words

    def create(self, function: str, *arguments: Any, last: bool = False) -> int:
        """Call a function whose first (or last) argument takes a new handle or address, and return that."""
        value = c_void_p()
        place = ctypes.byref(value)
        self.call(function, *((*arguments, place) if last else (place, *arguments)))
        return value.value or 0

    def number(self, function: str, *arguments: Any) -> int:
        """Call a function whose first argument takes an int, and return that."""
        value = c_int()
        self.call(function, ctypes.byref(value), *arguments)
        return value.value


def open_cudart() -> Cudart:
    """The newest library found that the driver can serve; EDGEBLL_CUDART names one to take instead.

    Raises:
        MissingExtraError: there is none. BoardError: there is no NVIDIA driver, or it is too old for all of them.
    """
    named = os.environ.get("EDGEBLL_CUDART")
    if named:
        return _usable([Cudart(named)])
    found = list(_opened(_candidates()))
    if not found:
        raise MissingExtraError(f"the runtime tensorrt needs CUDA's libcudart, which was not found; {_INSTALL}")
    return _usable(found)


def _usable(found: Sequence[Cudart]) -> Cudart:
    driver = max(library.number("cudaDriverGetVersion") for library in found)
    if driver == 0:
        raise BoardError("there is no NVIDIA driver on this machine; install it, or use the runtime onnxruntime")
    for library in found:
        if library.number("cudaRuntimeGetVersion") // 1000 <= driver // 1000:
            return library
    have = ", ".join(library.path for library in found)
    raise BoardError(
        f"the NVIDIA driver serves CUDA {driver // 1000} at most, which is older than {have}; update the driver, or install "
        f"an older libcudart: pip install nvidia-cuda-runtime-cu{driver // 1000}"
    )


def _opened(candidates: Iterator[str]) -> Iterator[Cudart]:
    for candidate in candidates:
        try:
            yield Cudart(candidate)
        except MissingExtraError:
            continue


def _candidates() -> Iterator[str]:
    """Sonames the loader knows, then the toolkit's folders, then NVIDIA's wheels, newest first in each."""
    yield from _SONAMES
    folders = [Path(folder) for folder in _TOOLKITS]
    for entry in sys.path:
        folders += sorted(Path(entry, "nvidia").glob("*/lib")) if entry else []
    for soname in _SONAMES:
        yield from (str(folder / soname) for folder in folders if (folder / soname).exists())
