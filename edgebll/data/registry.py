"""Data sets by name, and where their files are looked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from edgebll.data import fashion_mnist
from edgebll.data.dataset import Dataset
from edgebll.data.digits import load_digits
from edgebll.errors import ConfigError, DataError

DATASETS = ("digits", "fashion-mnist")
SPLITS = ("train", "test")
#: Where Debian and its descendants put data sets.
SYSTEM_DIR = Path("/usr/share/datasets")
#: Folder names other tools use, below a data folder.
_FOLDERS = ("fashion-mnist", "FashionMNIST/raw", ".")


def load_dataset(name: str, split: str, data_dir: Path | str | None = None, limit: int | None = None) -> Dataset:
    """Load a split of a data set.

    Args:
        name: one of DATASETS. split: "train" or "test".
        data_dir: folder with the files; by default EDGEBLL_DATA, the user's data folder and the system's are searched.
        limit: at most so many samples, from the start.

    Raises:
        ConfigError: unknown name or split, or limit < 1. DataError: files missing or damaged.
        MissingExtraError: a package that brings the data is not installed.
    """
    _check_name(name)
    if split not in SPLITS:
        raise ConfigError(f"the split must be one of {', '.join(SPLITS)}, not {split!r}")
    if limit is not None and limit < 1:
        raise ConfigError(f"the limit must be at least 1 sample, not {limit}")
    dataset = _load(name, split, data_dir)
    if limit is None or limit >= len(dataset):
        return dataset
    return replace(dataset, images=dataset.images[:limit].copy(), labels=dataset.labels[:limit].copy())


def _load(name: str, split: str, data_dir: Path | str | None) -> Dataset:
    if name == "digits":
        return load_digits(split)
    return fashion_mnist.load_fashion_mnist(split, find_dataset(name, data_dir))


def find_dataset(name: str, data_dir: Path | str | None = None) -> Path:
    """The folder with all files of a data set that comes as files.

    Raises:
        DataError: not found; says where it was looked for and how to get it.
    """
    _check_name(name)
    places = [Path(data_dir)] if data_dir is not None else list(_default_places())
    for place in places:
        for folder in (place / part for part in _FOLDERS):
            if fashion_mnist.is_here(folder):
                return folder
    looked = ", ".join(str(place) for place in places)
    raise DataError(
        f"the data set {name} was not found in {looked}; get it with `edgebll data fetch {name}` "
        f"or, on Debian and Ubuntu, `apt install dataset-{name}`"
    )


def user_data_dir() -> Path:
    """The user's folder for data sets: EDGEBLL_DATA, else $XDG_DATA_HOME/edgebll, else ~/.local/share/edgebll."""
    return next(_default_places())


def _default_places() -> Iterator[Path]:
    given, base = os.environ.get("EDGEBLL_DATA"), os.environ.get("XDG_DATA_HOME")
    if given:
        yield Path(given)
    yield (Path(base) if base else Path.home() / ".local" / "share") / "edgebll"
    yield SYSTEM_DIR


def _check_name(name: str) -> None:
    if name not in DATASETS:
        raise ConfigError(f"unknown data set {name!r}; known are {', '.join(DATASETS)}")
