"""Small files in the official binary format of CIFAR-10 and CIFAR-100, written record by record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgebll.data.cifar import Cifar

Bytes = np.ndarray[Any, np.dtype[np.uint8]]


def record(labels: list[int], image: Bytes) -> bytes:
    """One record: label bytes, then the planes of a uint8 image (32, 32, 3) one after another, row by row."""
    planes = [bytes(int(image[row, column, colour]) for row in range(32) for column in range(32)) for colour in range(3)]
    return bytes(labels) + b"".join(planes)


def write_cifar(folder: Path, cifar: Cifar, *, per_file: int = 3) -> dict[str, tuple[Bytes, list[int]]]:
    """Write a data set with random pixels; returns split -> (images (N, 32, 32, 3), labels)."""
    random = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    result = {}
    for split, names in cifar.files.items():
        images = random.integers(0, 256, (per_file * len(names), 32, 32, 3), np.uint8)
        labels = [(7 * index) % cifar.num_classes for index in range(len(images))]
        for place, name in enumerate(names):
            own = range(place * per_file, (place + 1) * per_file)
            coarse = [9] * (cifar.label_bytes - 1)
            (folder / name).write_bytes(b"".join(record([*coarse, labels[i]], images[i]) for i in own))
        result[split] = (images, labels)
    return result
