"""Data sets by name or by path: which one is meant, and where the files of those with names are looked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from edgebll.data import cifar, fashion_mnist, reverse, shapes
from edgebll.data.corpora import find_corpus, is_corpus
from edgebll.data.data_folders import data_folders
from edgebll.data.dataset import Dataset
from edgebll.data.digits import load_digits
from edgebll.data.loaded_data import LoadedData
from edgebll.data.own.byte_text import PREFIX, is_bytes, settled_bytes
from edgebll.data.own.code_data import is_code, named_code
from edgebll.data.own.data_kinds import check_no_options, files_left_out, prepared_alike, read_own_data
from edgebll.data.own.data_options import written
from edgebll.data.sampling import UNIFORM, with_weights
from edgebll.kernel.errors import ConfigError, DataError
from edgebll.kernel.own_code import reference_of
from edgebll.kernel.support.bounds import COUNT

SPLITS = ("train", "test")


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
DATASETS = ("digits", *FILES, reverse.NAME, shapes.NAME)


def load_dataset(
    name: str,
    split: str,
    data_dir: Path | str | None = None,
    limit: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> Dataset:
    """Load a split of a data set.

    Args:
        name: one of DATASETS, or the path of own data.
        split: "train" or "test".
        data_dir: folder with the files; by default EDGEBLL_DATA, the user's data folder and the system's are searched.
        limit: at most so many samples, from the start.
        options: of own data, see `edgebll.data.own.data_options`.

    Raises:
        ConfigError: unknown name, split or option, or limit < 1. DataError: files missing or damaged.
        MissingExtraError: a package that brings or reads the data is not installed.
    """
    if split not in SPLITS:
        raise ConfigError(f"the split must be one of {', '.join(SPLITS)}, not {split!r}")
    if is_own(name):
        return limited(read_own_data(Path(name), options or {}, _silent).dataset(split), limit)
    _check_name(name)
    check_no_options(name, options)
    return limited(MADE[name](split) if name in MADE else FILES[name].load(split, find_dataset(name, data_dir)), limit)


def load_data(
    name: str,
    data_dir: Path | str | None = None,
    limit: int | None = None,
    options: Mapping[str, Any] | None = None,
    tell: Callable[[str], None] | None = None,
    sampling: str = UNIFORM,
) -> LoadedData:
    """Load what a run needs of a data set: other arguments and errors are those of `load_dataset`.

    Args:
        name: one of DATASETS, or the path of own data.
        data_dir: folder with the files of one of DATASETS.
        limit: at most so many training samples.
        options: of own data.
        tell: takes a sentence before what takes long, and one on files that cannot be read.
        sampling: how the run draws training samples; own weights are read with them.
    """
    if not is_own(name):
        train = limited(with_weights(load_dataset(name, "train", data_dir, None, options), sampling, name, {}), limit)
        return LoadedData(train, load_dataset(name, "test", data_dir), name)
    splits = read_own_data(Path(name), options or {}, tell or _silent)
    if splits.skipped and tell is not None:
        tell(files_left_out(Path(name), splits.skipped))
    found = written(splits.options)
    train, test = limited(with_weights(splits.dataset("train"), sampling, name, found), limit), splits.dataset("test")
    return LoadedData(train, test, settled_name(name), found)


def is_own(name: str) -> bool:
    """Whether a name is the path of own data; what comes with edgebll goes before a file of the same name."""
    return name not in DATASETS and (
        os.sep in name or Path(name).suffix != "" or Path(name).exists() or is_bytes(name) or is_code(name)
    )


def settled_name(name: str) -> str:
    """A name that means the same in every folder."""
    if not is_own(name):
        return name
    if name.startswith(PREFIX):
        return settled_bytes(name)
    return reference_of(name) if is_code(name) else str(Path(name).absolute())


def recorded_options(data: str | None, recorded: Mapping[str, Any], given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Options for the data that a trained network is used on.

    Args:
        data: name of other data; None for those it was trained on, which must not have changed then.
        recorded: options of those it was trained on.
        given: options for these.
    """
    if data is None:
        return {**recorded, **(given or {})}
    return named_options(data, prepared_alike(Path(data), recorded, given or {}) if is_own(data) else given or {})


def named_options(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Options for data that a user names now: code is only ever run because a user named it.

    Args:
        name: of the data.
        given: their options.

    Raises:
        ConfigError: there is no such code.
    """
    return named_code(name, given) if name not in DATASETS and is_code(name) else dict(given)


def limited(dataset: Dataset, limit: int | None) -> Dataset:
    """At most `limit` samples of a data set, from its start.

    Raises:
        ConfigError: limit < 1.
    """
    if limit is not None:
        COUNT.check("limit", limit)
    if limit is None or limit >= len(dataset):
        return dataset
    labels = None if dataset.labels is None else dataset.labels[:limit].copy()
    weights = None if dataset.weights is None else dataset.weights[:limit]
    side = {name: values[:limit] for name, values in dataset.side.items()}
    return replace(dataset, samples=dataset.samples[:limit].copy(), labels=labels, weights=weights, side=side)


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
    if name in FILES:
        find_dataset(name, data_dir)
    elif is_corpus(name.removeprefix(PREFIX)) and name.startswith(PREFIX):
        find_corpus(name.removeprefix(PREFIX))


def _check_name(name: str) -> None:
    if name not in DATASETS:
        raise ConfigError(f"unknown data set {name!r}; known are {', '.join(DATASETS)}, or give the path of your own data")


def _silent(_: str) -> None:
    pass
