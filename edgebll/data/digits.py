"""scikit-learn's digits: 1797 images of 8x8 pixels, 10 classes; comes with the package, no download."""

from __future__ import annotations

import numpy as np

from edgebll.data.dataset import Dataset, pixel_table
from edgebll.kernel.support.optional_imports import import_extra

_NUM_TEST = 360
_SPLIT_SEED = 20260101
#: Pixels are 0..16; mean and standard deviation of pixel / 16 over all images.
_MAX_PIXEL, _MEAN, _STD = 16, 0.3053, 0.3760


def load_digits(split: str) -> Dataset:
    """The split "train" (1437 images) or "test" (360), always the same ones.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    pixels, labels = import_extra("sklearn.datasets", "data", "the data set digits").load_digits(return_X_y=True)
    order = np.random.RandomState(_SPLIT_SEED).permutation(len(labels))
    chosen = np.sort(order[:_NUM_TEST] if split == "test" else order[_NUM_TEST:])
    images = pixels[chosen].reshape(-1, 1, 8, 8).astype(np.uint8)
    return Dataset("digits", images, labels[chosen].astype(np.int64), 10, pixel_table((_MEAN,), (_STD,), _MAX_PIXEL))
