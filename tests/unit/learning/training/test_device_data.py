"""Batches on a device are those of numpy, to the bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch

from edgebll.data import AUGMENTATIONS, Dataset, batch_order, training_batch
from edgebll.data.dataset import pixel_table
from edgebll.data.own.sample_rows import SampleRows
from edgebll.data.reverse import load_reverse
from edgebll.kernel.tasks import Segmentation
from edgebll.learning.training.device_data import DeviceData, EpochBatches
from edgebll.learning.training.torch_device import TensorPlacement

CPU = TensorPlacement(torch.device("cpu"))
LAST = TensorPlacement(torch.device("cpu"), channels_last=True)


def images(channels: int = 3, height: int = 9, width: int = 12, count: int = 50) -> Dataset:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (count, channels, height, width), dtype=np.uint8)
    table = pixel_table((0.5, 0.4, 0.3)[:channels], (0.2, 0.21, 0.22)[:channels])
    return Dataset("images", pixels, random.integers(0, 7, count), 7, table)


def check(dataset: Dataset, augment: str, placement: TensorPlacement, seed: int = 3, epoch: int = 2) -> None:
    order = batch_order(len(dataset), 8, seed, epoch)
    batches = EpochBatches(DeviceData(dataset, placement), order, augment, seed, epoch)
    for index, indices in enumerate(order):
        for ours, expected in zip(batches.batch(index), training_batch(dataset, indices, augment, seed, epoch), strict=True):
            assert tuple(ours.shape) == expected.shape
            assert ours.numpy().dtype == expected.dtype
            assert np.array_equal(ours.numpy(), expected)


@pytest.mark.parametrize("augment", AUGMENTATIONS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("placement", [CPU, LAST], ids=["channels first", "channels last"])
def test_images_equal_those_of_numpy(augment: str, channels: int, placement: TensorPlacement) -> None:
    check(images(channels), augment, placement)


@pytest.mark.parametrize(("augment", "blank"), [("reflect", None), ("standard", 255)])
def test_masks_move_as_those_of_numpy(augment: str, blank: int | None) -> None:
    plain = images()
    masks = np.random.default_rng(1).integers(0, 7, (50, 9, 12))
    check(replace(plain, labels=masks, task=Segmentation(ignore_index=blank)), augment, CPU)


def test_another_epoch_and_seed_are_drawn_anew() -> None:
    """The comparison is not one of crops that never move."""
    dataset, order = images(), np.arange(8)[None]
    data = DeviceData(dataset, CPU)
    found = [EpochBatches(data, order, "standard", seed, epoch).batch(0)[0] for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    assert not torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_sequences_and_numbers_equal_those_of_numpy() -> None:
    full = load_reverse("test")
    part = replace(full, samples=full.samples[:40], labels=full.labels[:40])
    check(part, "none", CPU)
    check(part.as_dtype("int64"), "none", CPU)
    check(replace(part, symbols=0), "none", CPU)


@pytest.mark.parametrize("augment", AUGMENTATIONS)
def test_pixels_as_whole_numbers_equal_those_of_numpy(augment: str) -> None:
    check(images().as_dtype("uint8"), augment, LAST)
    check(images().as_dtype("int64"), augment, CPU)


def test_maps_lie_with_their_channels_last() -> None:
    dataset = images()
    data = DeviceData(dataset, LAST)
    for augment in AUGMENTATIONS:
        x, _ = EpochBatches(data, np.arange(16).reshape(2, 8), augment, 0, 0).batch(1)
        assert x.stride() == (3 * 9 * 12, 1, 3 * 12, 3)


def test_samples_that_may_not_be_written_to_are_left_alone() -> None:
    """As those of a file that is mapped into memory; PyTorch would warn of them."""
    dataset = images()
    dataset.samples.flags.writeable = False
    check(dataset, "standard", CPU)
    assert np.array_equal(DeviceData(dataset, CPU).inputs(torch.arange(4)).numpy(), dataset.inputs(np.arange(4)))


@pytest.mark.parametrize("augment", AUGMENTATIONS)
def test_rows_that_are_gathered_when_they_are_asked_for_equal_those_of_numpy(augment: str) -> None:
    whole = images()
    rows = np.random.default_rng(1).permutation(len(whole))[:40]
    check(replace(whole, samples=cast(Any, SampleRows(whole.samples, rows)), labels=whole.labels[rows]), augment, CPU)


def test_rows_of_numbers_are_normalised_as_they_are_gathered() -> None:
    numbers = np.random.default_rng(0).normal(size=(50, 3, 5))
    mean, std = np.array([1, 2, 3], np.float32), np.array([0.5, 1, 2], np.float32)
    rows = np.arange(49, -1, -1)
    dataset = Dataset("numbers", cast(Any, SampleRows(numbers, rows, mean, std)), np.zeros(50, np.int64), 2)
    check(dataset, "none", CPU)
    expected = ((numbers[::-1].astype(np.float32) - mean[:, None]) / std[:, None])[:8]
    assert np.array_equal(DeviceData(dataset, CPU).inputs(torch.arange(8)).numpy(), expected)
