"""Augmentation: each training image shifted and mirrored anew in every epoch.

What happens to an image is a pure function of (seed, epoch, index of the sample), so the trainer, a sequential and a pipelined
run see the same images, in whatever order and batches they take them. Labels that lie over an image, as masks do, move with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgebll.data.dataset import Dataset, Floats, Ints, Samples
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
#: Axes of labels that are a class or some numbers a sample; those of more may lie over images.
_OF_SAMPLES = 2


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
    if name != "none" and dataset.labels is not None and not dataset.task.of_input:
        _check_places(name, dataset)
    for side in dataset.side_specs if name != "none" else ():
        if tuple(side.shape[-2:]) == dataset.input_shape[1:]:
            raise ConfigError(
                f"the augmentation {name} moves images, but not the input {side.name} of {dataset.name}, which lies over them: "
                f"{side.shape} a sample; use --augment none"
            )


def _check_places(name: str, dataset: Dataset) -> None:
    """Raise ConfigError for labels of places in an image that cannot move with it."""
    task, labels, augmentation = dataset.task, dataset.labels, AUGMENTATIONS[name]
    places = labels.ndim > _OF_SAMPLES or task.per_pixel or (task.by_position and len(dataset.outputs) > 1)
    if places and not _lie_over_images(dataset):
        raise ConfigError(
            f"the augmentation {name} moves images of {dataset.input_shape[1:]} pixels, but labels of {dataset.name} are "
            f"{labels.shape[1:]} a sample and cannot move with them; use --augment none"
        )
    if places and augmentation.padding and not augmentation.reflect and _blank(dataset) is None:
        raise ConfigError(
            f"the augmentation {name} gives images a black border, for which {dataset.name} has no label; use --augment "
            "reflect, or name the label that stands for none with --task-option ignore_index"
        )


def geometry(augmentation: Augmentation, indices: Ints, seed: int, epoch: int) -> CropsAndFlips:
    """What happens to the samples `indices` (B,) in an epoch; independent draws, uniform to 1 in 2^16."""
    start = hashed(hashed(np.array([seed], np.uint64)) + np.uint64(epoch))
    words = hashed(start + indices.astype(np.uint64))
    places = np.uint64(2 * augmentation.padding + 1)
    low, high = words & np.uint64(0xFFFF), (words >> np.uint64(16)) & np.uint64(0xFFFF)
    rows, columns = ((part * places >> np.uint64(16)).astype(np.int64) for part in (low, high))
    return CropsAndFlips(rows, columns, (words >> np.uint64(63)).astype(bool) & augmentation.flip)


def augmented(augmentation: Augmentation, images: Any, how: CropsAndFlips, border: int = 0) -> Any:
    """Images or masks, each shifted and mirrored.

    Args:
        augmentation: what may happen to them.
        images: (B, ..., H, W) of any dtype.
        how: what happens to each.
        border: value of the border, where that is not the image mirrored at its edge.

    Returns:
        Of the same shape and dtype.
    """
    width, (rows, columns) = augmentation.padding, images.shape[-2:]
    around = [(0, 0)] * (images.ndim - 2) + [(width, width)] * 2
    how_padded: Any = {"mode": "reflect"} if augmentation.reflect else {"constant_values": border}
    padded = np.pad(images, around, **how_padded)
    result = np.empty_like(images)
    for index, (row, column, flipped) in enumerate(zip(how.rows, how.columns, how.flipped, strict=True)):
        crop = padded[index, ..., row : row + rows, column : column + columns]
        result[index] = crop[..., ::-1] if flipped else crop
    return result


def moved_labels(dataset: Dataset, augmentation: Augmentation, indices: Ints, how: CropsAndFlips) -> Any:
    """Labels that lie over images, moved as these are.

    Args:
        dataset: of images.
        augmentation: what may happen to them.
        indices: of the samples (B,).
        how: what happens to each.

    Returns:
        Labels (B, ...); None where they do not lie over images, and stay as they are.
    """
    if dataset.labels is None or dataset.task.of_input or not _lie_over_images(dataset):
        return None
    return augmented(augmentation, dataset.labels[indices], how, _blank(dataset) or 0)


def _lie_over_images(dataset: Dataset) -> bool:
    """Whether labels have a place for each pixel."""
    shape = dataset.labels.shape
    return len(shape) > _OF_SAMPLES and tuple(shape[-2:]) == dataset.input_shape[1:]


def _blank(dataset: Dataset) -> int | None:
    """The label that stands for none."""
    blank: int | None = getattr(dataset.task, "ignore_index", None)
    return blank


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
    how = geometry(augmentation, indices, seed, epoch)
    x = dataset.numbers(augmented(augmentation, dataset.samples[indices], how))
    return x, dataset.targets(indices, x, moved_labels(dataset, augmentation, indices, how))
