"""Augmentation: each training image shifted and mirrored anew in every epoch.

What happens to an image is a pure function of (seed, epoch, index of the sample), so the trainer, a sequential and a pipelined
run see the same images, in whatever order and batches they take them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgebll.data.dataset import Bytes, Dataset, Floats, Ints, Samples
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.support.splitmix64 import hashed


@dataclass(frozen=True)
class Augmentation:
    """A crop of the image's own size from the image with a border, and a mirror image half of the time.

    Attributes:
        padding: pixels of border on every side.
        reflect: whether the border is the image mirrored at its edge, or black.
        flip: whether images are mirrored left to right.
    """

    padding: int = 0
    flip: bool = False
    reflect: bool = False


#: "standard" is the usual one for CIFAR (He et al. 2016, section 4.2); InfoPro and AugLocal reflect the border.
AUGMENTATIONS: dict[str, Augmentation] = {
    "none": Augmentation(),
    "standard": Augmentation(padding=4, flip=True),
    "reflect": Augmentation(padding=4, flip=True, reflect=True),
}


@dataclass(frozen=True)
class CropsAndFlips:
    """What happens to each image of a batch: the crop's top left corner in the padded image, and whether it is mirrored."""

    rows: Ints
    columns: Ints
    flipped: npt.NDArray[np.bool_]


def check_augmentation(name: str, dataset: Dataset) -> None:
    """Raise ConfigError unless there is an augmentation `name` and it can be applied to the data set."""
    if name not in AUGMENTATIONS:
        raise ConfigError(f"unknown augmentation {name!r}; known are {', '.join(AUGMENTATIONS)}")
    if name != "none" and (dataset.table is None or min(dataset.input_shape[1:]) <= AUGMENTATIONS[name].padding):
        raise ConfigError(
            f"the augmentation {name} takes images of more than {AUGMENTATIONS[name].padding} pixels a side, but samples of "
            f"{dataset.name} are {dataset.input_shape}; use --augment none"
        )


def geometry(augmentation: Augmentation, indices: Ints, seed: int, epoch: int) -> CropsAndFlips:
    """What happens to the samples `indices` (B,) in an epoch; independent draws, uniform to 1 in 2^16."""
    start = hashed(hashed(np.array([seed], np.uint64)) + np.uint64(epoch))
    words = hashed(start + indices.astype(np.uint64))
    places = np.uint64(2 * augmentation.padding + 1)
    low, high = words & np.uint64(0xFFFF), (words >> np.uint64(16)) & np.uint64(0xFFFF)
    rows, columns = ((part * places >> np.uint64(16)).astype(np.int64) for part in (low, high))
    return CropsAndFlips(rows, columns, (words >> np.uint64(63)).astype(bool) & augmentation.flip)


def augmented(augmentation: Augmentation, images: Bytes, how: CropsAndFlips) -> Bytes:
    """uint8 images (B, C, H, W), each shifted and mirrored as `how` says."""
    border, (height, width) = augmentation.padding, images.shape[2:]
    mode = "reflect" if augmentation.reflect else "constant"
    padded = np.pad(images, ((0, 0), (0, 0), (border, border), (border, border)), mode=mode)  # type: ignore[call-overload]
    result = np.empty_like(images)
    for index, (row, column, flipped) in enumerate(zip(how.rows, how.columns, how.flipped, strict=True)):
        crop = padded[index, :, row : row + height, column : column + width]
        result[index] = crop[:, :, ::-1] if flipped else crop
    return result


def training_batch(dataset: Dataset, indices: Ints, augment: str, seed: int, epoch: int) -> tuple[Samples, Floats]:
    """The batch of samples `indices` (B,) in an epoch of a run.

    Args:
        dataset: training data.
        indices: of the samples (B,) int64.
        augment: one of AUGMENTATIONS.
        seed: of the run.
        epoch: from 0; other draws in each.

    Returns:
        x (B, *input_shape) of the data set's dtype, and the targets y (B, *target_shape), for classification one-hot float32.
    """
    if augment == "none":
        x = dataset.inputs(indices)
        return x, dataset.targets(indices, x)
    augmentation = AUGMENTATIONS[augment]
    images = augmented(augmentation, dataset.samples[indices], geometry(augmentation, indices, seed, epoch))  # type: ignore[arg-type]
    x = dataset.numbers(images)
    return x, dataset.targets(indices, x)
