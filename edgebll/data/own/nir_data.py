"""A folder of NIRData files, a subfolder a class: spikes that others recorded, in the format of the package nir.

A file is a NIRGraphData in HDF5: nodes of a graph with observables, each EventData (units and times of spikes) or
TimeGriddedData (bool, a step of `dt` seconds each), of any number of samples.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from edgebll.data.own.class_folders import ClassFiles, find_class_files, has_class_files
from edgebll.data.own.decoded_classes import raise_of_machine
from edgebll.data.own.sample_pool import SamplePool
from edgebll.data.own.spike_trains import STEPS, TrainOptions, Trains, train_pool
from edgebll.kernel.support.optional_imports import import_extra

NIR_DATA = "nir-data"
ENDINGS = (".nir", ".h5", ".hdf5")
_FILES_KEPT = 4


def is_nir_folder(path: Path) -> bool:
    """Whether there are NIRData files in subfolders."""
    return path.is_dir() and has_class_files(path, ENDINGS)


def read_nir_folder(path: Path, options: TrainOptions, tell: Callable[[str], None]) -> SamplePool:
    """All samples of all files of a folder, as frames (N, time_steps, units).

    Args:
        path: of the folder.
        options: of the spikes.
        tell: takes a sentence before what may take long.

    Raises:
        DataError: the folder has not the classes it should, or not one sample of a class can be read.
        MissingExtraError: the package nir is not installed.
    """
    nir = import_extra("nir", "nir", "reading NIRData")
    found = find_class_files(path, ENDINGS, "NIRData file", options.classes)
    read, lock = lru_cache(_FILES_KEPT)(lambda file: observed(nir, file, options.node)), threading.Lock()
    sizes = [_size(file, read) for file in found.files]
    counts = [max(1, samples) for samples, _, _ in sizes]  # what cannot be read is one sample that is left out

    def sample(place: Path) -> Trains:
        with lock:  # samples of a file follow each other, and it is read once
            return sample_of(read(place.parent), int(place.name))

    places = [file / str(row) for file, count in zip(found.files, counts, strict=True) for row in range(count)]
    spread = ClassFiles(path, tuple(places), found.classes, np.repeat(found.labels, counts), np.repeat(found.parts, counts))
    units = options.units or next((units for _, units, _ in sizes if units), 1)
    steps = options.time_steps or next((steps for _, _, steps in sizes if steps), STEPS)
    return train_pool(spread, found.files, sample, replace(options, units=units, time_steps=steps), tell)


def _size(file: Path, read: Callable[[Path], Any]) -> tuple[int, int, int]:
    """Samples, units and, of a grid, time steps of a file; 0 for what cannot be read."""
    try:
        spikes = read(file)
    except Exception as error:  # a damaged file may raise anything; `decode_classes` says why
        raise_of_machine(error, file)
        return 0, 0, 0
    return spikes.n_samples, int(spikes.n_neurons), getattr(spikes, "n_time_steps", 0)


def observed(nir: Any, file: Path, node: str) -> Any:
    """The spikes of a file: the package's EventData or TimeGriddedData.

    Args:
        nir: the package.
        file: of NIRData.
        node: its name, or NODE/OBSERVABLE; empty for the only one.

    Raises:
        ValueError: it is none, has several or none of this name, or what it has are no spikes.
    """
    try:
        graph = nir.read_data(str(file))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is no whole NIRGraphData ({error}); write it with nir.write_data") from error
    known = {
        f"{name}/{key}": value
        for name, one in graph.nodes.items()
        if isinstance(one, nir.NIRNodeData)
        for key, value in one.observables.items()
    }
    chosen = {name: value for name, value in known.items() if node in ("", name, name.rpartition("/")[0])}
    if len(chosen) != 1:
        what = f"{len(chosen)} observables" + (f" of {node}" if node else "")
        raise ValueError(f"it has {what}, of {', '.join(known) or 'none'}; give one with the data option node=NODE/OBSERVABLE")
    ((name, value),) = chosen.items()
    if isinstance(value, nir.ValuedEventData) or (isinstance(value, nir.TimeGriddedData) and value.data.dtype != bool):
        raise ValueError(f"{name} are numbers, not spikes; give another with the data option node=NODE/OBSERVABLE")
    return value


def sample_of(value: Any, row: int) -> Trains:
    """One sample of EventData or TimeGriddedData.

    Args:
        value: of `observed`.
        row: of the sample.

    Raises:
        ValueError: there is none.
    """
    if row >= value.n_samples:
        raise ValueError("it has no samples; take it out")
    gridded = hasattr(value, "data")
    duration = float(value.t_max)
    if not 0 < duration < np.inf:
        raise ValueError(f"its duration is {duration:g} s; it needs one above 0")
    if gridded:
        steps, units = np.nonzero(value.data[row])
        return Trains((steps + 0.5) * value.dt, units, duration)  # the middle of a step is in it, however dt is rounded
    there = value.idx[row] != -1  # what the format fills up with
    return Trains(value.time[row][there], value.idx[row][there], duration)
