"""How likely each training sample is drawn: all alike, each class as often, or by weights of the user's own.

Own weights are an array in a file, or one of the data themselves. A run writes down the file's absolute path and what is in it,
"weights:/path/w.npy#SHA-256", so that a run that goes on, or a bundle, never draws by others; arrays of the data are known by
the digest of these.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edgebll.data.dataset import Dataset
from edgebll.data.own.array_files import ARRAYS, named_array
from edgebll.data.own.csv_table import TABLE, whole_column
from edgebll.data.own.sample_rows import SampleRows
from edgebll.kernel.errors import ConfigError, DataError
from edgebll.kernel.support.atomic_files import sha256_file

UNIFORM, BALANCED, WEIGHTS = "uniform", "balanced", "weights"
SAMPLINGS = (UNIFORM, BALANCED)
_FILE = ".npy"
_WEIGHTS = re.compile(rf"{WEIGHTS}:(?P<place>.+?)(?:#(?P<sha256>[0-9a-f]{{64}}))?")

Doubles = npt.NDArray[np.float64]


class _Place(NamedTuple):
    """Where weights are: a file, or the name of an array of the data; and the SHA-256 that a run wrote down, or empty."""

    place: str
    sha256: str

    @property
    def is_file(self) -> bool:
        return self.place.endswith(_FILE)


def settled_sampling(sampling: str) -> str:
    """A sampling that means the same in every folder, and later.

    Args:
        sampling: one of SAMPLINGS, "weights:FILE.npy", or "weights:NAME" of an array of the data.

    Raises:
        ConfigError: it is none of them. DataError: there is no such file.
    """
    found = _place_of(sampling)
    if found is None or not found.is_file or found.sha256:
        return sampling
    path = Path(found.place).expanduser().absolute()
    return f"{WEIGHTS}:{path}#{_digest(path)}"


def with_weights(dataset: Dataset, sampling: str, data: str, options: Mapping[str, Any]) -> Dataset:
    """All training samples of a data set with the weights that a sampling gives them, if it gives some.

    Args:
        dataset: before a limit leaves any out.
        sampling: as of `settled_sampling`.
        data: name of the data set, or the path of own data.
        options: of own data, as a run writes them down.

    Raises:
        DataError: the weights are missing, changed, not one for each sample, or cannot be weights; or samples still come.
    """
    found = _place_of(sampling)
    if found is None:
        return dataset
    if dataset.arriving:
        raise DataError(f"samples of {dataset.name} come while the run goes on, so none can be drawn by weights; use uniform")
    what = f"the weights {found.place}"
    given = _of_file(found) if found.is_file else _of_data(found.place, data, options)
    return replace(dataset, weights=_checked(_of_rows(given, dataset, what), what))


def draw_weights(dataset: Dataset, sampling: str) -> Doubles:
    """How likely each sample is drawn (N,), which sum to 1.

    Args:
        dataset: the samples, with their weights where the sampling has some.
        sampling: "balanced", with which each class is as likely as any other and no sample without a label is drawn, or own
            weights.

    Raises:
        ConfigError: unknown sampling. DataError: samples have not one class each, or those that are left weigh nothing.
    """
    check_sampling(sampling, dataset)
    if dataset.weights is not None:
        return np.asarray(dataset.weights / dataset.weights.sum())
    labelled = _labelled(dataset)
    seen = dataset.labels[labelled]
    weights = np.zeros(len(dataset))
    weights[labelled] = 1.0 / np.bincount(seen, minlength=dataset.num_classes)[seen]
    return np.asarray(weights / weights.sum())


def check_sampling(sampling: str, dataset: Dataset) -> None:
    """Raise ConfigError unless it is a sampling, DataError unless the data set can be sampled so."""
    own = _place_of(sampling)
    if own is not None and (dataset.weights is None or not dataset.weights.any()):
        raise DataError(
            f"all {len(dataset)} training samples of {dataset.name} have the weight 0, so none can be drawn; raise the limit, "
            "or give some a weight"
        )
    if sampling == BALANCED and dataset.arriving:
        raise DataError(f"samples of {dataset.name} come while the run goes on, so none can be drawn by class; use uniform")
    labels = dataset.labels
    if sampling == BALANCED and (
        labels is None or labels.dtype != np.int64 or labels.ndim != 1 or labels[_labelled(dataset)].min(initial=0) < 0
    ):
        raise DataError(
            f"{dataset.name} has not one class for each sample, so none can be drawn by class; use sampling uniform"
        )


def _labelled(dataset: Dataset) -> npt.NDArray[np.bool_]:
    """Which samples have a label (N,)."""
    blank = getattr(dataset.task, "ignore_index", None)
    return np.ones(len(dataset), bool) if blank is None else np.asarray(dataset.labels != blank)


def _place_of(sampling: str) -> _Place | None:
    """Where a sampling's own weights are, or None; raises ConfigError unless it is a sampling."""
    if sampling in SAMPLINGS:
        return None
    match = _WEIGHTS.fullmatch(sampling)
    if match is None:
        known = ", ".join(SAMPLINGS)
        raise ConfigError(f"the sampling must be one of {known}, {WEIGHTS}:FILE.npy or {WEIGHTS}:NAME, not {sampling!r}")
    return _Place(match["place"], match["sha256"] or "")


def _digest(path: Path) -> str:
    try:
        return sha256_file(path)
    except OSError as error:
        raise DataError(f"the weights {path} cannot be read ({error.strerror or error}); give a .npy file") from error


def _of_file(found: _Place) -> npt.NDArray[Any]:
    path = Path(found.place)
    if found.sha256 not in ("", _digest(path)):
        raise DataError(
            f"the weights {path} have changed since the run was told them; put the file back as it was, or name it anew with "
            "--sampling"
        )
    return named_array(path.parent, path.stem)


def _of_data(name: str, data: str, options: Mapping[str, Any]) -> npt.NDArray[Any]:
    """An array of own data: of their files, or a column of their table."""
    kind = options.get("kind")
    if kind == ARRAYS:
        return named_array(Path(data), name)
    if kind != TABLE:
        raise DataError(
            f"the weights {name} are no file ({_FILE}), and only own arrays and tables have some by name; give a file with one "
            f"weight for each sample of {data}"
        )
    return whole_column(Path(data), name)[int(options.get("window", 1)) - 1 :]  # a window weighs as its last row


def _of_rows(given: npt.NDArray[Any], dataset: Dataset, what: str) -> npt.NDArray[Any]:
    """The weights of the samples, in their order: of those as they are in the data, or of the training samples there."""
    samples, count = dataset.samples, len(dataset)
    rows, whole = (samples.rows, len(samples.base)) if isinstance(samples, SampleRows) else (np.arange(count), count)
    if given.ndim == 1 and len(given) in ({whole, count} if rows.max() < count else {whole}):
        return np.asarray(given[rows])
    raise DataError(
        f"{what} must be one number for each sample in the order of {dataset.name}, ({whole},), not {given.dtype} of shape "
        f"{given.shape}"
    )


def _checked(weights: npt.NDArray[Any], what: str) -> Doubles:
    """Weights as they are drawn by, none above 1."""
    if weights.dtype.kind not in "biuf":
        raise DataError(f"{what} must be numbers, not {weights.dtype}")
    found = weights.astype(np.float64)
    odd = np.flatnonzero(~np.isfinite(found) | (found < 0))
    if len(odd):
        raise DataError(f"{what} must be finite and not below 0, but one of a training sample is {found[odd[0]]:g}; mend it")
    if not found.any():
        raise DataError(f"{what} are 0 for every training sample, so none can be drawn; give some a weight")
    return np.asarray(found / found.max())
