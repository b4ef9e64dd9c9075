"""Data sets with names: how each is made or found, and where its files are looked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edgebll.data import cifar, fashion_mnist, reverse, shapes
from edgebll.data.corpora import find_corpus, is_corpus
from edgebll.data.data_folders import data_folders
from edgebll.data.dataset import Dataset
from edgebll.data.digits import load_digits
from edgebll.data.events.spike_options import SEEN
from edgebll.data.own.byte_text import PREFIX
from edgebll.kernel.errors import ConfigError, DataError


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
MADE: dict[str, Callable[[str], Dataset]] = {
    "digits": load_digits,
    reverse.NAME: reverse.load_reverse,
    shapes.NAME: shapes.load_shapes,
}
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
DATASETS = ("digits", *FILES, reverse.NAME, shapes.NAME, *SEEN)


def load_named(name: str, split: str, data_dir: Path | str | None = None) -> Dataset:
    """A split of a data set with a name, as numbers: of those that the event camera sees, the images.

    Args:
        name: one of DATASETS.
        split: "train" or "test".
        data_dir: as `find_dataset`.

    Raises:
        ConfigError: unknown name. DataError: files missing or damaged. MissingExtraError: its package is not installed.
    """
    check_name(name)
    name = SEEN.get(name, name)
    return MADE[name](split) if name in MADE else FILES[name].load(split, find_dataset(name, data_dir))


def find_dataset(name: str, data_dir: Path | str | None = None) -> Path:
    """The folder with all files of a data set that comes as files.

    Raises:
        ConfigError: it does not come as files. DataError: not found, or only in a format that is not read; says where it was
            looked for and how to get it.
    """
    check_name(name)
    name = SEEN.get(name, name)
    if name in MADE:
        raise ConfigError(f"the data set {name} has no files")
    files = FILES[name]
    places = [Path(data_dir)] if data_dir is not None else list(data_folders())
    folders = [place / part for place in places for part in files.folders]
    for folder in folders:
        if files.is_here(folder):
            return folder
    for folder in folders:
        if sentence := files.refusal(folder):
            raise DataError(sentence)
    looked = ", ".join(str(place) for place in places)
    raise DataError(f"the data set {name} was not found in {looked}; {files.how}")


def check_here(name: str, data_dir: Path | str | None = None) -> None:
    """Raise DataError, which says how to get them, where the files of a data set or a text with a name are not here.

    Args:
        name: of the data; nothing is asked of own data, and of those that need no files.
        data_dir: as `find_dataset`.
    """
    if SEEN.get(name, name) in FILES:
        find_dataset(name, data_dir)
    elif is_corpus(name.removeprefix(PREFIX)) and name.startswith(PREFIX):
        find_corpus(name.removeprefix(PREFIX))


def check_name(name: str) -> None:
    """Raise ConfigError unless there is a data set of this name."""
    if name not in DATASETS:
        raise ConfigError(f"unknown data set {name!r}; known are {', '.join(DATASETS)}, or give the path of your own data")
