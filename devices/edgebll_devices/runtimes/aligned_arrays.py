"""Aligned arrays, because the last bits of a result depend on where its inputs lie.

Kernels that sum in vector registers begin with the elements before the first aligned address, so an array's address decides the
order of a sum. Every array a runtime reads or writes therefore starts at a multiple of ALIGNMENT, as do those it allocates.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edgebll.kernel.spec.manifest import TensorSpec

#: Bytes; the widest vector registers and a cache line.
ALIGNMENT = 64


def empty_aligned(tensor: TensorSpec) -> np.ndarray[Any, Any]:
    """A new array for `tensor`, contents undefined, at an aligned address."""
    dtype = np.dtype(tensor.dtype)
    size = math.prod(tensor.shape) * dtype.itemsize
    raw = np.empty(size + ALIGNMENT, np.uint8)
    start = -_address(raw) % ALIGNMENT
    return raw[start : start + size].view(dtype).reshape(tensor.shape)


def is_ready(value: np.ndarray[Any, Any]) -> bool:
    """Whether a runtime may read the array where it lies: aligned, C order, this machine's byte order."""
    return _address(value) % ALIGNMENT == 0 and value.flags.c_contiguous and value.dtype.isnative


def _address(value: np.ndarray[Any, Any]) -> int:
    address: int = value.__array_interface__["data"][0]
    return address
