"""Spikes that a NIRData file has, in the time steps of a graph: what goes into `edgebll nir run` and `check`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgebll.data.own.nir_data import observed, sample_of
from edgebll.data.own.spike_trains import TrainOptions, Trains, train_frames
from edgebll.kernel.errors import ConfigError, DataError
from edgebll.kernel.support.bounds import WrongValue
from edgebll.kernel.support.optional_imports import import_extra

ENDING = ".nir"
_HDF5, _KIND, _MARK = (".h5", ".hdf5"), "__type__", "NIRGraphData"
_MOST_STEPS = 10_000
#: Part of a time step that a duration may be off a whole number of them.
_ROUNDING = 1e-6


def is_nir_data(path: Path) -> bool:
    """Whether a file is NIRData by its ending, or is HDF5 that says so.

    Args:
        path: of a file that is there.
    """
    if path.suffix == ENDING:
        return True
    if path.suffix not in _HDF5:
        return False
    h5py = import_extra("h5py", "nir", "reading NIRData")
    try:
        with h5py.File(path, "r") as file:
            return str(file.attrs.get(_KIND)) == _MARK
    except OSError:
        return False  # whoever reads it as something else says what is wrong with it


def spikes_of_file(
    path: Path, dt: float | None, samples: int | None, steps: int | None, options: Mapping[str, Any]
) -> tuple[np.ndarray, str]:
    """Spikes (B, T, units) of a NIRData file, and where they come from in words.

    Several spikes of a unit in a time step are added up.

    Args:
        path: of the file.
        dt: the time step in seconds; None for that of a grid.
        samples: at most so many; None for all.
        steps: time steps, at most; None for all.
        options: `node`, where the file has several.

    Raises:
        ConfigError: an option is wrong, or spikes have times and nobody says the time step.
        DataError: the file is damaged, is none, or lasts too long.
        MissingExtraError: the package nir is not installed.
    """
    if rest := set(options) - {"node"}:
        raise ConfigError(f"NIRData files have the data option node, not {min(rest)!r}; leave it out")
    nir = import_extra("nir", "nir", "reading NIRData")
    try:
        value = observed(nir, path, str(options.get("node", "")))
        gridded = isinstance(value, nir.TimeGriddedData)
        step = dt if dt is not None or not gridded else float(value.dt)
        if step is None:
            raise WrongValue("dt", f"is needed, in seconds: {path} has the times of spikes, and the graph needs none")
        count = _steps(float(value.t_max), step, steps)
        shape = TrainOptions(time_steps=count, units=int(value.n_neurons), counts=True)
        rows = range(min(samples or value.n_samples, value.n_samples))
        frames = [train_frames(_lasting(sample_of(value, row), count * step), shape) for row in rows]
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, (ConfigError, DataError)):
            raise
        raise DataError(f"{path} cannot be read as NIRData: {error}") from error
    if not frames:
        raise DataError(f"{path} has no samples; give another file")
    told = f"{path}, a grid of {value.dt:g} s" if gridded else f"{path}, times of spikes"
    return np.stack(frames).astype(np.float32), told


def _steps(duration: float, dt: float, most: int | None) -> int:
    if not 0 < duration < np.inf:
        raise ValueError(f"its duration is {duration:g} s; it needs one above 0")
    whole = max(1, int(np.ceil(duration / dt - _ROUNDING)))
    wanted = min(whole, most or whole)
    if wanted > _MOST_STEPS:
        raise ValueError(f"it lasts {duration:g} s, {whole} steps of {dt:g} s; give --steps, at most {_MOST_STEPS}")
    return wanted


def _lasting(trains: Trains, seconds: float) -> Trains:
    """The same spikes in a sample of so many seconds; later ones are left out."""
    return Trains(trains.times, trains.units, seconds)
