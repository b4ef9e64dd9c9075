"""Small IDX files for tests."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np

from edgebll.data.fashion_mnist import FILES

Bytes = np.ndarray[Any, np.dtype[np.uint8]]


def idx_bytes(values: Bytes) -> bytes:
    """`values` as an IDX file."""
    head = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    return head + values.tobytes()


def write_fashion_mnist(folder: Path, *, train: int = 40, test: int = 20, compress: bool = True) -> dict[str, Bytes]:
    """Write a data set like Fashion-MNIST, with random pixels; returns file name -> content."""
    random = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Bytes] = {}
    for split, count in (("train", train), ("test", test)):
        images, labels = FILES[split]
        arrays[images.name] = random.integers(0, 256, (count, 28, 28), np.uint8)
        arrays[labels.name] = (np.arange(count) % 10).astype(np.uint8)
    for name, values in arrays.items():
        content = idx_bytes(values)
        (folder / (f"{name}.gz" if compress else name)).write_bytes(gzip.compress(content, mtime=0) if compress else content)
    return arrays
