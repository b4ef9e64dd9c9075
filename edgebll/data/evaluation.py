"""`edgebll eval` as a function: what the task of a run or a bundle counts."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from edgebll.data.bundle_evaluation import evaluate_bundle
from edgebll.data.dataset import Dataset
from edgebll.data.own.given_samples import named_data
from edgebll.data.registry import load_dataset, recorded_options
from edgebll.data.run_operations import OPERATIONS
from edgebll.kernel.bundle import Bundle, open_bundle
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.limits import default_threads
from edgebll.kernel.runs.listener import Listener, as_listener
from edgebll.kernel.runs.run_events import EventCallback
from edgebll.kernel.runs.run_result import RunResult
from edgebll.kernel.runs.trained_place import find_trained
from edgebll.kernel.state.block_state import state_sha256
from edgebll.kernel.support import bounds
from edgebll.kernel.support.bounds import WrongValue
from edgebll.kernel.support.option_values import KeyValues, parse_options
from edgebll.kernel.support.optional_imports import import_torch

#: What evaluates a run of the trainer: "module:function" of (path, data set, threads) -> metrics; it needs torch.
TRAINED_RUN = "edgebll.learning.training.trained_run:evaluate_run"


class _Subject(NamedTuple):
    """What is evaluated: its path, the bundle with its states (None for a run of the trainer), its data, the states' hash."""

    path: Path
    bundle: Bundle | None
    data: str | None
    state_sha256: str
    data_options: Mapping[str, Any]


def evaluate(
    path: str | os.PathLike[str],
    *,
    data: Any = None,
    data_option: KeyValues | None = None,
    split: str = "test",
    limit: int | None = None,
    runtime: str = "onnxruntime",
    int8: bool = False,
    operations: bool = False,
    threads: int | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    progress: EventCallback | Listener | None = None,
) -> RunResult:
    """Evaluate a trained network: a run of `train` with PyTorch, a run of `simulate` or `run` or a bundle with its graphs.

    Args:
        path: a run folder or a bundle.
        data: name of the data set, the path of own data, or samples as they are, see `train`; by default what the run was
            trained on. Of a live source that its own code made, the record.
        data_option: options of own data; by default those of the training, where data are of the same kind.
        split: "test" or "train".
        limit: use at most so many samples.
        runtime: what computes a bundle, e.g. "onnxruntime" or "reference".
        int8: use the int8 forward graphs of `edgebll quantize`, on "onnxruntime" or, with a board's bits, "ordered", or on the
            microcontroller of $EDGEBLL_SERIAL, "serial".
        operations: also count synaptic operations, sparsity and footprint by block, as NeuroBench does, and estimate their
            energy; summary["operations"] has them. It needs torch and the network's code.
        threads: of the computation; by default the usable processors.
        data_dir: folder with the data set's files.
        progress: takes events, see `edgebll.kernel.runs.run_events`.

    Returns:
        The task's metrics, among them accuracy where it has one, the loss, and the hash of the states evaluated.

    Raises:
        ConfigError: an option is wrong, or nobody says which data set it is.
        BundleError: there is neither a run nor a bundle, it is not whole, or, with `int8`, not quantised.
        DataError: the data set is missing or does not fit the network.
        MissingExtraError: a run of `train`, or `operations`, needs torch, which is not installed.

    Examples:
        >>> import edgebll
        >>> result = edgebll.evaluate("simulated", limit=100)
        >>> 0 <= result.accuracy <= 1, result.summary["count"]
        (True, 100)
    """
    if threads is not None:
        bounds.THREADS.check("threads", threads)
    subject = _subject(Path(path))
    if int8 and subject.bundle is None:
        raise WrongValue("int8", f"needs a quantised bundle, and {path} is a training run; use `edgebll export` and `quantize`")
    options, folder = parse_options("data", data_option), Path(data_dir) if data_dir is not None else None
    count = threads or default_threads()
    with _dataset(subject, data, options, split, folder, limit) as dataset:
        if subject.bundle is None:
            found = _with_torch(TRAINED_RUN, "evaluating a training run")(subject.path, dataset, count)
        else:
            found = evaluate_bundle(subject.bundle, dataset, runtime, count, int8=int8)
        taken = _with_torch(OPERATIONS, "counting operations")(subject.path, dataset, count) if operations else None
    summary = {"path": str(subject.path), "data": dataset.name, "data_source": dataset.source, "split": split}
    scores = {"accuracy": found.get("accuracy"), "loss": found["loss"], "metrics": found, "count": len(dataset)}
    scores |= {"operations": taken} if taken is not None else {}
    result = RunResult.of(subject.path, {**summary, **scores, "state_sha256": subject.state_sha256})
    as_listener(progress).finished(result)
    return result


@contextlib.contextmanager
def _dataset(
    subject: _Subject, data: Any, options: Mapping[str, Any], split: str, folder: Path | None, limit: int | None
) -> Iterator[Dataset]:
    """What a network is evaluated on, a live source for the length of the context; the arguments are those of `evaluate`."""
    with named_data(data, None) as (given, kept):
        name = given or subject.data
        if name is None:
            raise ConfigError(f"{subject.path} does not say which data set it was trained on; give one with --data")
        options = recorded_options(given, subject.data_options, options)
        dataset = load_dataset(name, split, folder, limit, options)
        yield dataset if kept is None else replace(dataset, name=type(data).__name__)


def _with_torch(function: str, what: str) -> Callable[[Path, Dataset, int], dict[str, Any]]:
    import_torch("train", what)
    module, _, name = function.partition(":")
    found: Callable[[Path, Dataset, int], dict[str, Any]] = getattr(importlib.import_module(module), name)
    return found


def _subject(path: Path) -> _Subject:
    """What is to be evaluated.

    Raises:
        BundleError: `path` is neither a run nor a bundle, or the run is not whole.
    """
    place = find_trained(path)
    if place.bundle is None:
        return _Subject(path, None, place.data, str(place.summary.get("state_sha256")), place.data_options)
    return _of_bundle(path, place.bundle, place.data, place.data_options)


def _of_bundle(path: Path, folder: Path, data: str | None, options: Mapping[str, Any]) -> _Subject:
    bundle = open_bundle(folder)
    if data is None:
        data, options = _text(bundle.manifest.recipe.get("data")), _table(bundle.manifest.recipe.get("data_options"))
    states = {block.name: bundle.state(block.name) for block in bundle.manifest.blocks}
    return _Subject(path, bundle, data, state_sha256(states), options)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
