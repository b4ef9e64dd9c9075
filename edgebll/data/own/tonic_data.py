"""Data sets of the package tonic by their names there, e.g. `tonic:NMNIST`, where it is installed and has their files.

Tonic finds and reads the files, edgebll bins the events. Nothing is downloaded: that is for tonic to do, when a user says so.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgebll.data.data_folders import data_folders, user_data_dir
from edgebll.data.events.binning import Events
from edgebll.data.own.class_folders import ClassFiles
from edgebll.data.own.event_folder import EventOptions, event_pool
from edgebll.data.own.held_out import TEST, TRAIN
from edgebll.data.own.sample_pool import SamplePool
from edgebll.kernel.errors import ConfigError, DataError
from edgebll.kernel.support.optional_imports import import_extra

TONIC = "tonic"
PREFIX = "tonic:"


def is_tonic(name: Path | str) -> bool:
    """Whether a name begins with `tonic:`."""
    return str(name).startswith(PREFIX)


def read_tonic(path: Path, options: EventOptions, tell: Callable[[str], None]) -> SamplePool:
    """Both parts of a data set of tonic, as frames (N, time_steps, 2, H, W).

    Args:
        path: its name.
        options: of the events.
        tell: takes a sentence before what may take long.

    Raises:
        DataError: its files are not there, or it is none of events on a sensor. ConfigError: tonic has none of this name.
        MissingExtraError: tonic is not installed.
    """
    kind = _class_of(str(path).removeprefix(PREFIX))
    width, height, *_ = kind.sensor_size
    if height < 2:
        raise DataError(
            f"{path} has spikes of units, not events on a sensor; give its .h5 files themselves, the path of {kind.__name__}'s "
            "folder"
        )
    place = _place(kind)
    parts = {part: _made(kind, place.parent, train=part == TRAIN) for part in (TRAIN, TEST)}
    targets = [np.asarray(data.targets) for data in parts.values()]
    names = tuple(str(name) for name in (options.classes or np.unique(np.concatenate(targets))))
    labels = [np.array([names.index(str(target)) for target in some], np.int64) for some in targets]
    places = tuple(place / str(part) / str(row) for part, some in zip(parts, labels, strict=True) for row in range(len(some)))
    kinds = np.repeat(np.array(list(parts), np.int8), [len(some) for some in labels])
    found = ClassFiles(place, places, names, np.concatenate(labels), kinds)

    def read(sample: Path) -> Events:
        events, _ = parts[int(sample.parent.name)][int(sample.name)]
        return Events(*(np.asarray(events[name]).astype(np.int64) for name in "txyp"))

    settled = replace(options, sensor=options.sensor or f"{height}x{width}")
    pool = event_pool(found, _files(place, parts.values()), read, settled, tell)
    return replace(pool, name=str(path))


def _class_of(name: str) -> Any:
    datasets = import_extra("tonic.datasets", TONIC, f"the data set {PREFIX}{name}")
    kind = getattr(datasets, name, None)
    if not inspect.isclass(kind) or not hasattr(kind, "sensor_size") or "train" not in inspect.signature(kind).parameters:
        known = [key for key, value in vars(datasets).items() if inspect.isclass(value) and hasattr(value, "sensor_size")]
        raise ConfigError(f"tonic has no data set {name!r} of a training and a test part; it has {', '.join(sorted(known))}")
    return kind


def _place(kind: Any) -> Path:
    """The folder of a data set, as tonic lays it out: its class's name below a data folder."""
    places = [folder / str(kind.__name__) for folder in data_folders()]
    found = next((place for place in places if place.is_dir()), None)
    if found is None:
        looked = ", ".join(map(str, places))
        raise DataError(f"the files of {PREFIX}{kind.__name__} were not found in {looked}; {_how(kind, user_data_dir())}")
    return found


def _made(kind: Any, folder: Path, *, train: bool) -> Any:
    """A part of a data set, from files that are there."""

    def download(_: Any) -> None:
        raise DataError(
            f"{folder / kind.__name__} lacks files of {PREFIX}{kind.__name__}, or tonic's archives of them; "
            f"{_how(kind, folder)}"
        )

    return type(kind.__name__, (kind,), {"download": download})(str(folder), train=train)


def _how(kind: Any, folder: Path) -> str:
    return f"let tonic get them: python -c \"import tonic; tonic.datasets.{kind.__name__}('{folder}')\", also with train=False"


def _files(place: Path, parts: Any) -> Sequence[Path]:
    """The files that samples come from, where tonic tells: their digest tells whether the data have changed."""
    listed = (Path(file) for data in parts for file in getattr(data, "data", ()) if isinstance(file, str))
    return sorted(file for file in listed if file.is_relative_to(place))
