"""Data sets by name or by path: which one is meant, and what a run gets of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from edgebll.data.dataset import Dataset
from edgebll.data.events.spike_options import ENCODE, SEEN, SpikeOptions, encoding_of, split_options, without_encoding
from edgebll.data.events.spiking_data import settled, spiking
from edgebll.data.loaded_data import LoadedData
from edgebll.data.named_data import DATASETS, load_named
from edgebll.data.own.byte_text import PREFIX, is_bytes, settled_bytes
from edgebll.data.own.code_data import is_code, named_code
from edgebll.data.own.data_kinds import check_no_options, files_left_out, prepared_alike, read_own_data
from edgebll.data.own.data_options import written
from edgebll.data.own.tonic_data import is_tonic
from edgebll.data.sampling import UNIFORM, with_weights
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.own_code import reference_of
from edgebll.kernel.support.bounds import COUNT

SPLITS = ("train", "test")
Tell = Callable[[str], None]


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
        options: of own data, see `edgebll.data.own.data_options`, and of an encoder, see `edgebll.data.events.spike_options`.

    Raises:
        ConfigError: unknown name, split or option, or limit < 1. DataError: files missing or damaged.
        MissingExtraError: a package that brings or reads the data is not installed.
    """
    if split not in SPLITS:
        raise ConfigError(f"the split must be one of {', '.join(SPLITS)}, not {split!r}")
    given, spikes = split_options(name, options)
    if is_own(name):
        load = read_own_data(Path(name), given, _silent).dataset
    else:
        check_no_options(name, given)
        load = partial(load_named, name, data_dir=data_dir)
    dataset = limited(load(split), limit)
    if spikes is None:
        return dataset
    known = spikes.ranged or (split == "train" and limit is None)
    spikes = settled(spikes, dataset if known else load("train"))
    return as_spikes(name, {split: dataset}, spikes, _silent)[split]


def load_data(
    name: str,
    data_dir: Path | str | None = None,
    limit: int | None = None,
    options: Mapping[str, Any] | None = None,
    tell: Tell | None = None,
    sampling: str = UNIFORM,
) -> LoadedData:
    """Load what a run needs of a data set: other arguments and errors are those of `load_dataset`.

    Args:
        name: one of DATASETS, or the path of own data.
        data_dir: folder with the files of one of DATASETS.
        limit: at most so many training samples.
        options: of own data, and of an encoder.
        tell: takes a sentence before what takes long, and one on files that cannot be read.
        sampling: how the run draws training samples; own weights are read with them.
    """
    given, spikes = split_options(name, options)
    found: dict[str, Any] = {}
    if is_own(name):
        splits = read_own_data(Path(name), given, tell or _silent)
        if splits.skipped and tell is not None:
            tell(files_left_out(Path(name), splits.skipped))
        load, found = splits.dataset, written(splits.options)
    else:
        check_no_options(name, given)
        load = partial(load_named, name, data_dir=data_dir)
    whole, test = load("train"), load("test")
    parts = {"train": limited(with_weights(whole, sampling, name, found), limit), "test": test}
    if spikes is not None:
        spikes = settled(spikes, whole)
        parts, found = as_spikes(name, parts, spikes, tell or _silent), {**found, **written(spikes)}
    return LoadedData(parts["train"], parts["test"], settled_name(name), found)


def as_spikes(name: str, parts: Mapping[str, Dataset], spikes: SpikeOptions, tell: Tell) -> dict[str, Dataset]:
    """Parts of a data set with spikes for samples.

    Args:
        name: of the data.
        parts: by split.
        spikes: options of the encoder, settled.
        tell: takes a sentence before what may take long.

    Raises:
        DataError: the samples are none for the encoder.
    """
    return {split: spiking(name if name in SEEN else part.name, part, split, spikes, tell) for split, part in parts.items()}


def is_own(name: str) -> bool:
    """Whether a name is the path of own data; what comes with edgebll goes before a file of the same name."""
    return name not in DATASETS and (
        os.sep in name or Path(name).suffix != "" or Path(name).exists() or is_bytes(name) or is_tonic(name) or is_code(name)
    )


def settled_name(name: str) -> str:
    """A name that means the same in every folder."""
    if not is_own(name):
        return name
    if name.startswith(PREFIX):
        return settled_bytes(name)
    if is_tonic(name):
        return name
    return reference_of(name) if is_code(name) else str(Path(name).absolute())


def recorded_options(data: str | None, recorded: Mapping[str, Any], given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Options for the data that a trained network is used on.

    Args:
        data: name of other data; None for those it was trained on, which must not have changed then.
        recorded: options of those it was trained on.
        given: options for these.
    """
    given = dict(given or {})
    if data is None:
        return {**recorded, **given}
    # Spikes of other data are made as those of the training were.
    spikes = {} if ENCODE in given else encoding_of(recorded)
    if not is_own(data):
        return {**spikes, **given}
    own = without_encoding({**spikes, **given})
    prepared = prepared_alike(Path(data), without_encoding(recorded), own)
    return named_options(data, {**prepared, **encoding_of({**spikes, **given})})


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


def _silent(_: str) -> None:
    pass
