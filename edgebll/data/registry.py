"""Data sets by name, and where their files are looked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from edgebll.data import cifar, fashion_mnist, reverse
from edgebll.data.dataset import Dataset
from edgebll.data.digits import load_digits
from edgebll.kernel.errors import ConfigError, DataError
from edgebll.kernel.support.user_folders import xdg_base

SPLITS = ("train", "test")
#: Where Debian and its descendants put data sets.
SYSTEM_DIR = Path("/usr/share/datasets")


@dataclass(frozen=True)
class Files:
    """A data set that comes as files.

    Attributes:
        folders: where it is looked for, below a data folder.
        is_here: whether a folder holds all its files.
        load: reads a split from a folder.
        how: how to get it, as the end of a sentence.
        refusal: why what is in a folder is not read, as a sentence, or empty.
    """

    folders: tuple[str, ...]
    is_here: Callable[[Path], bool]
    load: Callable[[str, Path], Dataset]
    how: str
    refusal: Callable[[Path], str] = lambda _: ""


def _cifar(kind: cifar.Cifar) -> Files:
    return Files(
        folders=(kind.folder, f"{kind.name}/{kind.folder}", "."),
        is_here=partial(cifar.is_here, kind),
        load=partial(cifar.load_cifar, kind),
        how=f"get it with `edgebll data fetch {kind.name}`",
        refusal=partial(cifar.refusal, kind),
    )


#: Data sets that are generated or come with a package: how a split is made.
MADE: dict[str, Callable[[str], Dataset]] = {"digits": load_digits, reverse.NAME: reverse.load_reverse}
FILES: dict[str, Files] = {
    fashion_mnist.NAME: Files(
        folders=("fashion-mnist", "FashionMNIST/raw", "."),
        is_here=fashion_mnist.is_here,
        load=fashion_mnist.load_fashion_mnist,
        how=f"get it with `edgebll data fetch {fashion_mnist.NAME}` "
        f"or, on Debian and Ubuntu, `apt install dataset-{fashion_mnist.NAME}`",
    ),
    cifar.CIFAR10.name: _cifar(cifar.CIFAR10),
    cifar.CIFAR100.name: _cifar(cifar.CIFAR100),
}
DATASETS = ("digits", *FILES, reverse.NAME)


def load_dataset(name: str, split: str, data_dir: Path | str | None = None, limit: int | None = None) -> Dataset:
    """Load a split of a data set.

    Args:
        name: one of DATASETS.
        split: "train" or "test".
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
    dataset = MADE[name](split) if name in MADE else FILES[name].load(split, find_dataset(name, data_dir))
    if limit is None or limit >= len(dataset):
        return dataset
    return replace(dataset, samples=dataset.samples[:limit].copy(), labels=dataset.labels[:limit].copy())


def find_dataset(name: str, data_dir: Path | str | None = None) -> Path:
    """The folder with all files of a data set that comes as files.

    Raises:
        ConfigError: it does not come as files. DataError: not found, or only in a format that is not read; says where it was
            looked for and how to get it.
    """
    _check_name(name)
    if name in MADE:
        raise ConfigError(f"the data set {name} has no files")
    files = FILES[name]
    places = [Path(data_dir)] if data_dir is not None else list(_default_places())
    folders = [place / part for place in places for part in files.folders]
    for folder in folders:
        if files.is_here(folder):
            return folder
    for folder in folders:
        if sentence := files.refusal(folder):
            raise DataError(sentence)
    looked = ", ".join(str(place) for place in places)
    raise DataError(f"the data set {name} was not found in {looked}; {files.how}")


def user_data_dir() -> Path:
    """The user's folder for data sets: EDGEBLL_DATA, else $XDG_DATA_HOME/edgebll, else ~/.local/share/edgebll."""
    return next(_default_places())


def _default_places() -> Iterator[Path]:
    given = os.environ.get("EDGEBLL_DATA")
    if given:
        yield Path(given)
    yield xdg_base("XDG_DATA_HOME", ".local/share") / "edgebll"
    yield SYSTEM_DIR


def _check_name(name: str) -> None:
    if name not in DATASETS:
        raise ConfigError(f"unknown data set {name!r}; known are {', '.join(DATASETS)}")
