"""Data sets: shapes, normalisation, where files are found and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.idx_files import idx_bytes, write_fashion_mnist

from edgebll.data import DATASETS, Dataset, data_folders, find_dataset, load_dataset
from edgebll.data.fashion_mnist import FILES
from edgebll.data.fetch import content_sha256
from edgebll.kernel.errors import ConfigError, DataError, MissingExtraError


@pytest.fixture(autouse=True)
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No data set in the user's or the system's folder."""
    monkeypatch.delenv("EDGEBLL_DATA", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr(data_folders, "SYSTEM_DIR", tmp_path / "system")


def test_digits_are_split_once_and_for_all() -> None:
    train, test = load_dataset("digits", "train"), load_dataset("digits", "test")
    assert train.samples.shape == (1437, 1, 8, 8)
    assert test.samples.shape == (360, 1, 8, 8)
    assert test.labels[:9].tolist() == [1, 1, 5, 9, 2, 1, 9, 5, 7]
    rows = {image.tobytes() + bytes([label]) for image, label in zip(test.samples, test.labels, strict=True)}
    both = rows & {image.tobytes() + bytes([label]) for image, label in zip(train.samples, train.labels, strict=True)}
    assert not both
    assert np.bincount(test.labels, minlength=10).min() > 20
    x = train.inputs(np.arange(len(train)))
    assert abs(float(x.mean())) < 0.02
    assert abs(float(x.std()) - 1) < 0.02


def test_fashion_mnist_is_read_and_normalised(tmp_path: Path) -> None:
    arrays = write_fashion_mnist(tmp_path)
    dataset = load_dataset("fashion-mnist", "train", tmp_path)
    x = dataset.inputs(np.arange(40))
    assert x.shape == (40, 1, 28, 28)
    assert x.dtype == np.float32
    assert dataset.input_shape == (1, 28, 28)
    pixels = arrays["train-images-idx3-ubyte"]
    assert x[3, 0, 5, 7] == np.float32((pixels[3, 5, 7] / 255 - 0.2860) / 0.3530)
    assert dataset.labels.tolist() == [i % 10 for i in range(40)]


def test_one_hot_labels() -> None:
    dataset = load_dataset("digits", "test")
    indices = np.array([0, 2, 2], np.int64)
    expected = np.zeros((3, 10), np.float32)
    expected[[0, 1, 2], [1, 5, 5]] = 1
    assert np.array_equal(dataset.targets(indices), expected)


def test_a_limit_takes_samples_from_the_start(tmp_path: Path) -> None:
    whole, part = load_dataset("digits", "train"), load_dataset("digits", "train", limit=10)
    assert len(part) == 10
    assert np.array_equal(part.samples, whole.samples[:10])
    assert len(load_dataset("digits", "train", limit=10**6)) == len(whole)


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("folder", [".", "fashion-mnist", "FashionMNIST/raw"])
def test_files_are_found_in_the_given_folder(tmp_path: Path, folder: str, compress: bool) -> None:
    write_fashion_mnist(tmp_path / "given" / folder, compress=compress)
    assert find_dataset("fashion-mnist", tmp_path / "given") == tmp_path / "given" / folder


def test_places_are_searched_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEBLL_DATA", str(tmp_path / "env"))
    for place in ("system", "xdg/edgebll", "env"):
        write_fashion_mnist(tmp_path / place / "fashion-mnist")
        assert find_dataset("fashion-mnist") == tmp_path / place / "fashion-mnist"


def test_a_given_folder_is_the_only_one_searched(tmp_path: Path) -> None:
    write_fashion_mnist(tmp_path / "system" / "fashion-mnist")
    with pytest.raises(DataError, match=str(tmp_path / "given")):
        find_dataset("fashion-mnist", tmp_path / "given")


def test_what_is_not_found_says_how_to_get_it() -> None:
    with pytest.raises(DataError, match="edgebll data fetch fashion-mnist") as caught:
        load_dataset("fashion-mnist", "test")
    assert "apt install dataset-fashion-mnist" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("train-images-idx3-ubyte", np.zeros((40, 28, 27), np.uint8), "expected images"),
        ("train-images-idx3-ubyte", np.zeros((40, 784), np.uint8), "expected images"),
        ("train-labels-idx1-ubyte", np.zeros(39, np.uint8), "expected images"),
        ("train-labels-idx1-ubyte", np.full(40, 10, np.uint8), r"labels must lie in 0\.\.9"),
    ],
)
def test_files_of_the_wrong_shape_are_refused(tmp_path: Path, name: str, values: np.ndarray, reason: str) -> None:
    write_fashion_mnist(tmp_path, compress=False)
    (tmp_path / name).write_bytes(idx_bytes(values))
    with pytest.raises(DataError, match=reason):
        load_dataset("fashion-mnist", "train", tmp_path)


def test_an_empty_data_set_is_refused(tmp_path: Path) -> None:
    write_fashion_mnist(tmp_path, test=0)
    with pytest.raises(DataError, match="not one sample"):
        load_dataset("fashion-mnist", "test", tmp_path)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("mnist", "train"), "unknown data set 'mnist'; known are digits, fashion-mnist, cifar-10, cifar-100, reverse, shapes"),
        (("digits", "validation"), "the split must be"),
        (("digits", "test", None, 0), "limit must be at least 1, not 0"),
    ],
)
def test_wrong_arguments_are_refused(arguments: tuple[str, str], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        load_dataset(*arguments)


def test_arrays_that_do_not_fit_are_refused() -> None:
    numbers, labels = np.zeros((2, 1, 4, 4), np.float32), np.zeros(2, np.int64)
    pixels, table = np.zeros((2, 1, 4, 4), np.uint8), np.zeros((1, 256), np.float32)
    assert len(Dataset("ok", numbers, labels, 2)) == 2
    assert len(Dataset("ok", pixels, labels, 2, table)) == 2
    assert Dataset("ok", numbers, np.zeros((2, 3), np.int64), 5).target_shape == (3, 5)
    samples: Any
    wrong_labels: Any
    for samples, wrong_labels, wrong_table in (
        (numbers.astype(np.float64), labels, None),
        (numbers[:, 0, 0, 0], labels, None),
        (pixels, labels, None),
        (numbers, labels, table),
        (pixels, labels, table[:, :255]),
        (pixels, labels, np.zeros((3, 256), np.float32)),
        (pixels[:, 0], labels, table),
        (numbers, labels[:1], None),
        (numbers, labels.astype(np.int32), None),
        (numbers, labels - 1, None),
        (numbers, labels + 2, None),
        (numbers, np.full((2, 3, 4), 2), None),
    ):
        with pytest.raises(DataError):
            Dataset("wrong", samples, wrong_labels, 2, wrong_table)


def test_without_scikit_learn_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'edgebll\[data\]'"):
        load_dataset("digits", "train")


def test_the_pinned_digests_are_those_of_the_official_files() -> None:
    folder = Path("/usr/share/datasets/fashion-mnist")
    if not folder.is_dir():
        pytest.skip("the Debian package dataset-fashion-mnist is not installed")
    for pair in FILES.values():
        for file in pair:
            assert content_sha256(folder / f"{file.name}.gz", file.size_bytes) == file.sha256


def test_names_are_listed() -> None:
    names = ("digits", "fashion-mnist", "cifar-10", "cifar-100", "reverse", "shapes", "events-digits", "events-fashion-mnist")
    assert names == DATASETS
