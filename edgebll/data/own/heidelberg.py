"""The Heidelberg spiking data sets, SHD and SSC (Cramer et al. 2020), and other HDF5 files of their form.

spikes/times    of each recording, seconds of its spikes
spikes/units    of each recording, which unit spiked, 0..699
labels          of each recording
extra/keys      names of the classes; their numbers where there are none
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgebll.data.own.class_folders import ClassFiles
from edgebll.data.own.held_out import TEST, TRAIN, UNDECIDED
from edgebll.data.own.sample_pool import SamplePool
from edgebll.data.own.spike_trains import STEPS, TrainOptions, Trains, train_pool
from edgebll.kernel.errors import DataError
from edgebll.kernel.support.optional_imports import import_extra

HEIDELBERG = "heidelberg"
UNITS, _MOST_CLASSES = 700, 100_000
_ENDINGS = (".h5", ".hdf5")
_TRAIN, _TEST = "*_train.h5", "*_test.h5"


def is_heidelberg(path: Path) -> bool:
    """Whether it is an .h5 file, or a folder with one for training and one for evaluation."""
    if path.is_dir():
        return len(list(path.glob(_TRAIN))) == len(list(path.glob(_TEST))) == 1
    return path.suffix.lower() in _ENDINGS


def read_heidelberg(path: Path, options: TrainOptions, tell: Callable[[str], None]) -> SamplePool:
    """All recordings, as frames (N, time_steps, units).

    Args:
        path: a file, or a folder with ..._train.h5 and ..._test.h5.
        options: of the spikes.
        tell: takes a sentence before what may take long.

    Raises:
        DataError: a file is damaged or of another form. MissingExtraError: the package h5py is not installed.
    """
    h5py = import_extra("h5py", "nir", "reading HDF5 files of spikes")
    parts = {next(path.glob(_TRAIN)): TRAIN, next(path.glob(_TEST)): TEST} if path.is_dir() else {path: UNDECIDED}
    contents = {file: _opened(h5py, file) for file in parts}
    try:
        names = _names(contents, options.classes)
        labels = [_labels(file, content, len(names)) for file, content in contents.items()]
        places = tuple(file / str(row) for file, some in zip(parts, labels, strict=True) for row in range(len(some)))
        kinds = np.repeat(np.array(list(parts.values()), np.int8), [len(some) for some in labels])
        found = ClassFiles(path if path.is_dir() else path.parent, places, names, np.concatenate(labels), kinds)
        lock = threading.Lock()

        def read(place: Path) -> Trains:
            with lock:  # HDF5 reads one thing at a time
                spikes, row = contents[place.parent]["spikes"], int(place.name)
                return Trains(np.asarray(spikes["times"][row], np.float64), np.asarray(spikes["units"][row], np.int64))

        settled = replace(options, units=options.units or UNITS, time_steps=options.time_steps or STEPS)
        pool = train_pool(found, sorted(parts), read, settled, tell)
        return replace(pool, name=str(path))
    finally:
        for content in contents.values():
            content.close()


def _opened(h5py: Any, file: Path) -> Any:
    """An open file of the form.

    Raises:
        DataError: it is none.
    """
    try:
        content = h5py.File(file, "r")
    except OSError as error:
        raise DataError(f"{file} cannot be read as HDF5 ({str(error)[:120]}); get it again") from error
    lacking = [name for name in ("spikes/times", "spikes/units", "labels") if name not in content]
    if lacking:
        content.close()
        raise DataError(
            f"{file} has no {lacking[0]}; give a file as those of SHD and SSC, with spikes/times, spikes/units and labels"
        )
    return content


def _names(contents: dict[Path, Any], given: Sequence[str]) -> tuple[str, ...]:
    """Names of the classes, in the order of their labels."""
    if given:
        return tuple(given)
    first = next(iter(contents.values()))
    if "extra/keys" in first:
        return tuple(key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key) for key in first["extra/keys"][()])
    most = max(int(np.max(content["labels"][()], initial=0)) for content in contents.values())
    if most >= _MOST_CLASSES:
        raise DataError(f"a label is {most}, but there are at most {_MOST_CLASSES} classes; mend the labels")
    return tuple(map(str, range(most + 1)))


def _labels(file: Path, content: Any, classes: int) -> Any:
    labels = np.asarray(content["labels"][()], np.int64)
    sizes = [len(labels), len(content["spikes/times"]), len(content["spikes/units"])]
    if labels.ndim != 1 or len(set(sizes)) > 1:
        raise DataError(
            f"{file} has {sizes[0]} labels for {sizes[1]} times and {sizes[2]} units; it needs one of each a recording"
        )
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise DataError(f"{file} has labels from {labels.min()} to {labels.max()}, but {classes} classes; mend extra/keys")
    return labels
