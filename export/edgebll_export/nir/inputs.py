"""What goes into a simulated graph: a file of arrays, samples of a data set, or random spikes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgebll.data.dataset import Dataset
from edgebll.data.registry import load_dataset, named_options
from edgebll.kernel.errors import ConfigError, DataError
from edgebll.kernel.support.bounds import COUNT, SEED, Bounds
from edgebll_export.nir.graph import Shape, SpikingGraph
from edgebll_export.nir.nir_data_input import ENDING, is_nir_data, spikes_of_file
from edgebll_export.nir.shapes import shape_text

RANDOM = "random"
RATE = Bounds("spikes a neuron and time step", 0.0, 1.0 + 1e-9)
_ARRAY_FILES = (".npy", ".npz", ".csv")
_STEPS = 100


@dataclass(frozen=True)
class InputChoice:
    """Where inputs come from.

    Attributes:
        data: a file .npy (T, ...) or (B, T, ...), .npz with such an array "x" and perhaps labels "y", or .csv with a time step
            a line; a file of NIRData; the name or path of a data set, whose test samples are taken; or "random".
        samples: at most so many; None for all of a file, and 16 of a data set; random ones are 1 by default.
        steps: time steps of random spikes, and of samples without an axis of time, which are repeated; of others at most so
            many. None for all, or 100.
        rate: of random spikes, in spikes a neuron and time step.
        seed: of random spikes.
        columns: of a .csv file, its first so many columns; None for all.
        data_dir: folder with a data set's files.
        options: of own data.
    """

    data: str = RANDOM
    samples: int | None = None
    steps: int | None = None
    rate: float = 0.1
    seed: int = 0
    columns: int | None = None
    data_dir: Path | None = None
    options: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        for name in ("samples", "steps", "columns"):
            if getattr(self, name) is not None:
                COUNT.check(name, getattr(self, name))
        RATE.check("rate", self.rate)
        SEED.check("seed", self.seed)


@dataclass(frozen=True)
class GraphInputs:
    """What goes into a graph.

    Attributes:
        x: values (B, T, ...).
        labels: classes (B,), or None where there are none.
        source: where they come from, for reports.
    """

    x: np.ndarray
    labels: np.ndarray | None
    source: str


def graph_inputs(graph: SpikingGraph, choice: InputChoice, dt: float | None) -> GraphInputs:
    """The inputs that were chosen, in the shape that a graph takes.

    Args:
        graph: it.
        choice: what was chosen.
        dt: the time step in seconds; None where nothing in the graph depends on it.

    Raises:
        ConfigError: there is no such file or data set, or an option is wrong.
        DataError: the file is damaged, or of a shape that does not fit.
        MissingExtraError: a package that brings or reads the data is not installed.
    """
    if choice.data == RANDOM:
        shape = (choice.samples or 1, choice.steps or _STEPS, *graph.input_shape)
        spikes = np.random.default_rng(choice.seed).random(shape) < choice.rate
        return GraphInputs(spikes.astype(np.float32), None, f"random spikes at rate {choice.rate:g}, seed {choice.seed}")
    path, source = Path(choice.data), choice.data
    if path.suffix in _ARRAY_FILES and path.is_file():
        values, labels = _arrays(path, choice.columns)
    elif path.is_file() and is_nir_data(path):
        labels = None
        values, source = spikes_of_file(path, dt, choice.samples, choice.steps, choice.options or {})
    else:
        values, labels = _samples(choice, graph)
    x = _batched(values, graph, choice)
    labels = None if labels is None else np.asarray(labels)[: choice.samples]
    if labels is not None and (labels.shape != x.shape[:1] or labels.dtype.kind not in "iu"):
        raise DataError(f"{choice.data} has {len(x)} samples and labels of shape {labels.shape}; give one class for each")
    if (
        labels is not None
        and labels.size
        and graph.output_shape
        and not 0 <= labels.min() <= labels.max() < graph.output_shape[0]
    ):
        raise DataError(f"{choice.data} has labels up to {labels.max()}, but {graph.place} has {graph.output_shape[0]} outputs")
    return GraphInputs(x[:, : choice.steps], labels, source)


def _arrays(path: Path, columns: int | None) -> tuple[np.ndarray, np.ndarray | None]:
    try:
        if path.suffix == ".csv":
            table = np.loadtxt(path, delimiter=",", dtype=np.float64, ndmin=2)
            return table[:, :columns], None
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return found, None
        with found:
            if "x" not in found:
                raise DataError(
                    f"{path} has no array x, only {', '.join(found) or 'nothing'}; save the inputs as x, labels as y"
                )
            return found["x"], found.get("y")
    except (OSError, ValueError, EOFError) as error:
        if isinstance(error, DataError):
            raise
        # NumPy says of arrays that are none how to load them all the same.
        told = f" ({error})" if path.suffix == ".csv" or isinstance(error, OSError) else ""
        raise DataError(
            f"{path} cannot be read as numbers{told}; give an array of time steps, see `edgebll nir run --help`"
        ) from error


def _samples(choice: InputChoice, graph: SpikingGraph) -> tuple[np.ndarray, np.ndarray | None]:
    """Test samples of a data set."""
    if Path(choice.data).suffix in (*_ARRAY_FILES, ENDING):
        raise ConfigError(f"there is no file {choice.data}; give one, the name of a data set, or {RANDOM}")
    options = named_options(choice.data, choice.options or {})
    dataset: Dataset = load_dataset(choice.data, "test", choice.data_dir, choice.samples or 16, options)
    # A graph that ends in hidden neurons names no classes.
    told = graph.output_shape == (dataset.num_classes,) and np.ndim(dataset.labels) == 1
    labels = dataset.labels if told else None
    return dataset.inputs(np.arange(len(dataset))), labels


def _batched(values: np.ndarray, graph: SpikingGraph, choice: InputChoice) -> np.ndarray:
    """Values as (B, T, ...): a sample alone gets a batch axis, one without time is repeated, features may be flat."""
    shape = graph.input_shape
    if values.dtype.kind not in "fiub":
        raise DataError(f"{choice.data} holds {values.dtype}, not numbers; give an array of time steps")
    if values.shape[1:] == shape:
        # (T, ...) from a file is one sample; (N, ...) of a data set are samples without time, which are repeated.
        if Path(choice.data).suffix in _ARRAY_FILES:
            return values[None]
        return np.repeat(values[: choice.samples, None], choice.steps or _STEPS, axis=1)
    if values.shape[2:] == shape:
        return values[: choice.samples]
    if values.ndim >= 2 and int(np.prod(values.shape[2:])) == int(np.prod(shape)) and values.ndim > 2:
        return values[: choice.samples].reshape(*values.shape[:2], *shape)
    raise DataError(f"{choice.data} has shape {shape_text(values.shape)}; {graph.place} takes {_wanted(shape)} a time step")


def _wanted(shape: Shape) -> str:
    return f"values of shape {shape_text(shape)}"
