"""Synthetic shapes to segment: discs, squares and triangles of any size, place and brightness on a noisy ground.

A sample is an image (1, 16, 16) with one to three shapes; a later one covers those before. Its mask says of each pixel what is
there: 0 ground, 1 disc, 2 square, 3 triangle. Samples are drawn from a seed, the same on every machine.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgebll.data.dataset import Dataset

NAME = "shapes"
SIDE = 16
CLASSES = 4
_COUNTS = {"train": 2_000, "test": 400}
_SEEDS = {"train": 20261130, "test": 20261131}
_NOISE = 0.3


def load_shapes(split: str) -> Dataset:
    """The split "train" (2,000 images) or "test" (400), always the same ones."""
    random = np.random.RandomState(_SEEDS[split])
    count = _COUNTS[split]
    images = _NOISE * random.standard_normal((count, 1, SIDE, SIDE))
    masks = np.zeros((count, SIDE, SIDE), np.int64)
    for image, mask in zip(images[:, 0], masks, strict=True):
        for _ in range(random.randint(1, 4)):
            kind, radius = random.randint(1, CLASSES), random.randint(2, 5)
            row, column = random.randint(radius, SIDE - radius, 2)
            covered = _covered(kind, radius, row, column)
            image[covered] += random.uniform(0.8, 1.6) - image[covered].mean()
            mask[covered] = kind
    return Dataset(NAME, images.astype(np.float32), masks, CLASSES)


def _covered(kind: int, radius: int, row: int, column: int) -> npt.NDArray[np.bool_]:
    """The pixels of a shape about (row, column)."""
    down, right = np.arange(SIDE)[:, None] - row, np.arange(SIDE)[None, :] - column
    if kind == 1:
        return np.asarray(down**2 + right**2 <= radius**2)
    if kind == 2:
        return np.asarray((abs(down) < radius) & (abs(right) < radius))
    return np.asarray((abs(down) <= radius) & (2 * abs(right) <= down + radius))
