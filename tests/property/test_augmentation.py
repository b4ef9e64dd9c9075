"""Augmentation: every pixel where the geometry says, the same whatever the batch."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebll.data import AUGMENTATIONS, Dataset, batch_order, check_augmentation, training_batch
from edgebll.data.augment import Augmentation, CropsAndFlips, augmented, geometry
from edgebll.data.dataset import pixel_table
from edgebll.data.token_stream import StreamSpec, stream
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.lr_schedule import Schedule
from edgebll.kernel.tasks import Classification, Regression, Segmentation
from edgebll.kernel.wire import TRAIN

names = st.sampled_from(sorted(AUGMENTATIONS))
seeds, epochs = st.integers(0, 2**32 - 1), st.integers(0, 1000)


def _dataset(count: int = 40, shape: tuple[int, int, int] = (3, 9, 7)) -> Dataset:
    pixels = np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8)
    table = pixel_table((0.3, 0.4, 0.5)[: shape[0]], (0.2, 0.3, 0.4)[: shape[0]])
    return Dataset("noise", pixels, np.arange(count, dtype=np.int64) % 4, 4, table)


def _naive(image: np.ndarray, padding: int, row: int, column: int, flipped: bool, reflect: bool) -> np.ndarray:
    """Pixel by pixel: each looks up where it came from."""
    result = np.zeros_like(image)
    _, height, width = image.shape
    for r in range(height):
        for c in range(width):
            from_row, from_column = row + r - padding, column + (width - 1 - c if flipped else c) - padding
            if reflect:
                from_row = (height - 1) - abs((height - 1) - abs(from_row))
                from_column = (width - 1) - abs((width - 1) - abs(from_column))
            if 0 <= from_row < height and 0 <= from_column < width:
                result[:, r, c] = image[:, from_row, from_column]
    return result


@given(st.integers(0, 4), st.booleans(), st.data())
def test_every_pixel_comes_from_where_the_geometry_says(padding: int, reflect: bool, data: st.DataObject) -> None:
    images: Any = _dataset(5).samples
    corner = st.lists(st.integers(0, 2 * padding), min_size=5, max_size=5)
    rows, columns = (np.array(data.draw(corner)) for _ in range(2))
    flipped = np.array(data.draw(st.lists(st.booleans(), min_size=5, max_size=5)))
    result = augmented(Augmentation(padding, True, reflect), images, CropsAndFlips(rows, columns, flipped))
    for index in range(5):
        how = rows[index], columns[index], flipped[index]
        assert np.array_equal(result[index], _naive(images[index], padding, *how, reflect))


@given(names, seeds, epochs, st.permutations(range(20)), st.integers(1, 20))
def test_an_image_does_not_depend_on_its_batch(name: str, seed: int, epoch: int, order: list[int], count: int) -> None:
    dataset = _dataset()
    every, labels = training_batch(dataset, np.arange(40), name, seed, epoch)
    chosen = np.array(order[:count])
    x, y = training_batch(dataset, chosen, name, seed, epoch)
    assert np.array_equal(x, every[chosen])
    assert np.array_equal(y, labels[chosen])


def test_no_augmentation_is_the_plain_batch() -> None:
    dataset, indices = _dataset(), np.array([5, 1, 5])
    x, y = training_batch(dataset, indices, "none", 1, 2)
    assert np.array_equal(x, dataset.inputs(indices))
    assert np.array_equal(y, dataset.targets(indices))
    no_crop = geometry(AUGMENTATIONS["none"], indices, 1, 2)
    for part in (no_crop.rows, no_crop.columns, no_crop.flipped):
        assert not part.any()


def test_the_border_is_black_before_normalisation() -> None:
    dataset = _dataset()
    x, _ = training_batch(dataset, np.arange(40), "standard", 0, 0)
    how = geometry(AUGMENTATIONS["standard"], np.arange(40), 0, 0)
    index = int(np.argmax(how.rows == 0))
    assert how.rows[index] == 0
    black = dataset.table[:, 0, None, None]
    assert np.array_equal(x[index, :, :4], np.broadcast_to(black, (3, 4, 7)))


def test_places_and_mirror_images_are_uniform_and_independent() -> None:
    how = geometry(AUGMENTATIONS["standard"], np.arange(40_500), 3, 5)
    cells = Counter(zip(how.rows.tolist(), how.columns.tolist(), how.flipped.tolist(), strict=True))
    assert len(cells) == 162
    expected = 40_500 / 162
    chi_square = sum((count - expected) ** 2 / expected for count in cells.values())
    assert chi_square < 161 + 5 * (2 * 161) ** 0.5  # five standard deviations above the mean


@given(seeds, epochs)
def test_seeds_and_epochs_differ(seed: int, epoch: int) -> None:
    runs = (seed, epoch), (seed ^ 1, epoch), (seed, epoch + 1)
    rows = [geometry(AUGMENTATIONS["standard"], np.arange(64), *run).rows.tolist() for run in runs]
    assert rows[0] != rows[1]
    assert rows[0] != rows[2]


def test_the_geometry_does_not_change_between_releases() -> None:
    how = geometry(AUGMENTATIONS["standard"], np.arange(6), 7, 3)
    assert how.rows.tolist() == [2, 8, 0, 4, 1, 5]
    assert how.columns.tolist() == [3, 4, 2, 2, 4, 2]
    assert how.flipped.tolist() == [True, True, False, True, False, False]


@pytest.mark.parametrize("name", sorted(AUGMENTATIONS))
def test_a_stream_has_the_batches_of_the_trainer(name: str) -> None:
    dataset = _dataset()
    tokens = stream(StreamSpec("r", "block0", 16, 2, Schedule(0.1), 9, False, augment=name), dataset, dataset)
    given = [token.tensors for token in tokens if token.kind == TRAIN]
    for step, tensors in enumerate(given):
        epoch, place = divmod(step, 2)
        x, y = training_batch(dataset, batch_order(40, 16, 9, epoch)[place], name, 9, epoch)
        assert np.array_equal(tensors["x"], x)
        assert np.array_equal(tensors["y"], y)
    assert len(given) == 4


@given(seeds, epochs, st.sampled_from([("reflect", None), ("reflect", 255), ("standard", 255), ("standard", -1)]))
def test_masks_move_with_their_images(seed: int, epoch: int, how: tuple[str, int | None]) -> None:
    """A mask that is told from the pixels of its image is so still when both have moved; a black border has no label."""
    name, blank = how
    pixels = np.random.default_rng(0).integers(1, 256, (20, 3, 9, 7), np.uint8)
    masks = (pixels[:, 0] % 4).astype(np.int64)
    dataset = Dataset("masks", pixels, masks, 4, pixel_table((0.3,) * 3, (0.2,) * 3), task=Segmentation(ignore_index=blank))
    x, y = training_batch(dataset.as_dtype("uint8"), np.arange(20), name, seed, epoch)
    assert np.array_equal(y.sum(axis=1) > 0, x[:, 0] > 0)
    assert np.array_equal(y.argmax(axis=1)[x[:, 0] > 0], (x[:, 0] % 4)[x[:, 0] > 0])
    assert (name == "standard") == bool((x == 0).any())


def test_maps_of_numbers_move_with_their_images() -> None:
    pixels = np.random.default_rng(0).integers(1, 256, (20, 1, 9, 7), np.uint8)
    dataset = Dataset("depths", pixels, pixels.astype(np.float32), 0, pixel_table((0.3,), (0.2,)), task=Regression())
    x, y = training_batch(dataset.as_dtype("uint8"), np.arange(20), "reflect", 0, 0)
    assert np.array_equal(y, x)
    assert not np.array_equal(x, pixels)


@pytest.mark.parametrize(
    ("labels", "classes", "task", "name", "words"),
    [
        (np.zeros((40, 9, 7), np.int64), 2, Segmentation(), "standard", "gives images a black border, for which noise has no"),
        (np.zeros((40, 9, 7), np.float32), 0, Regression(), "standard", "black border.* use --augment reflect, or name the"),
        (np.zeros((40, 3, 3), np.int64), 2, Segmentation(), "reflect", r"moves images of \(9, 7\) pixels, .*\(3, 3\) a sample"),
        (np.zeros((40, 5), np.int64), 2, Classification(), "reflect", r"labels of noise are \(5,\) a sample and cannot move"),
    ],
)
def test_labels_that_cannot_move_are_refused(labels: Any, classes: int, task: Any, name: str, words: str) -> None:
    dataset = replace(_dataset(), labels=labels, num_classes=classes, task=task)
    check_augmentation("none", dataset)
    with pytest.raises(ConfigError, match=words):
        check_augmentation(name, dataset)
    check_augmentation(name, replace(_dataset(), labels=np.zeros((40, 5), np.float32), num_classes=0, task=Regression()))


def test_inputs_that_lie_over_images_are_refused() -> None:
    plain = _dataset()
    check_augmentation("reflect", replace(plain, side={"place": np.zeros((40, 2), np.float32)}))
    dataset = replace(plain, side={"depth": np.zeros((40, 1, 9, 7), np.float32)})
    check_augmentation("none", dataset)
    with pytest.raises(ConfigError, match=r"moves images, but not the input depth of noise, .* \(1, 9, 7\) a sample"):
        check_augmentation("reflect", dataset)


@pytest.mark.parametrize(
    ("name", "dataset", "words"),
    [
        ("mirror", _dataset(), "known are none, standard, reflect"),
        ("standard", _dataset(shape=(3, 9, 4)), "more than 4 pixels a side"),
        ("reflect", Dataset("numbers", np.zeros((3, 1, 9, 9), np.float32), np.zeros(3, np.int64), 2), "use --augment none"),
    ],
)
def test_what_cannot_be_augmented_is_refused(name: str, dataset: Dataset, words: str) -> None:
    check_augmentation("none", dataset)
    with pytest.raises(ConfigError, match=words):
        check_augmentation(name, dataset)
