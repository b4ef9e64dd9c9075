"""What is in a data set: `edgebll data check` as a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgebll.data.dataset import Dataset
from edgebll.data.events.spike_options import ENCODE, split_options
from edgebll.data.events.spiking_data import settled
from edgebll.data.own.data_kinds import SPIKES, read_own_data
from edgebll.data.own.data_options import written
from edgebll.data.registry import as_spikes, is_own, load_data, named_options
from edgebll.kernel.errors import DataError
from edgebll.kernel.plots.sample_sheet import SHEET_SAMPLES, draw_sheet
from edgebll.kernel.plots.spike_sheet import SPIKE_SAMPLES, draw_spikes

SPLIT_NAMES = ("train", "test")


def check_data(
    name: str,
    options: Mapping[str, Any] | None = None,
    *,
    data_dir: Path | None = None,
    picture: Path | None = None,
    tell: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Read a data set as a training would, and say what is in it.

    Args:
        name: of a data set, or the path of own data.
        options: of own data.
        data_dir: folder with the files of a data set with a name.
        picture: where to draw some samples; None for nowhere.
        tell: takes a sentence before what takes long.

    Returns:
        "data", "kind", "shape" and "dtype" of a sample, the "task" its labels suggest and the shape of that task's "outputs",
        "classes" with how many labels of each are for training and for evaluation, "skipped" files with the reason, and
        "options", all of them as a run would write them down. Where a sample has more than x, "inputs" has shape and dtype of
        that by name.

    Raises:
        DataError: the data are missing, damaged or not such as can be trained on. ConfigError: an option is wrong.
        MissingExtraError: Pillow or matplotlib is not installed. StorageError: the picture cannot be written.
    """
    skipped: tuple[str, ...] = ()
    tell = tell or _silent
    if is_own(name):
        given, spikes = split_options(name, options)
        splits = read_own_data(Path(name), named_options(name, given), tell)
        parts, found, skipped = _parts(splits.dataset), written(splits.options), splits.skipped
        if spikes is not None:
            spikes = settled(spikes, next(iter(parts.values())))
            parts, found = as_spikes(name, parts, spikes, tell), {**found, **written(spikes)}
        names = list(splits.options.classes)
    else:
        loaded = load_data(name, data_dir, None, options, tell)
        parts, found = dict(zip(SPLIT_NAMES, loaded.splits, strict=True)), loaded.options
        names = [str(label) for label in range(loaded.train.num_classes)]
    if picture is not None:
        _draw(next(iter(parts.values())), names, picture, spikes=ENCODE in found or found.get("kind") in SPIKES)
    return {"data": name, "kind": found.get("kind", "shipped"), **_counted(parts, names), "skipped": skipped, "options": found}


def _parts(dataset: Any) -> dict[str, Dataset]:
    """Those parts that have samples: of data held out whole, none is for training."""
    parts: dict[str, Dataset] = {}
    for split in SPLIT_NAMES:
        try:
            parts[split] = dataset(split)
        except DataError:
            if split == SPLIT_NAMES[-1] and not parts:
                raise
    return parts


def _counted(parts: Mapping[str, Dataset], names: list[str]) -> dict[str, Any]:
    first = next(iter(parts.values()))
    counts = {split: _counts(part, len(names)) for split, part in parts.items()}
    classes = [
        {"name": name, **{split: int(counts[split][label]) if split in counts else 0 for split in SPLIT_NAMES}}
        for label, name in enumerate(names)
    ]
    samples = {split: len(parts[split]) if split in parts else 0 for split in SPLIT_NAMES}
    task, outputs = first.task.name, list(first.outputs)
    facts: dict[str, Any] = {
        "shape": list(first.input_shape),
        "dtype": str(first.samples.dtype),
        "task": task,
        "outputs": outputs,
    }
    if first.side:
        facts["inputs"] = {spec.name: {"shape": list(spec.shape), "dtype": spec.dtype} for spec in first.side_specs}
    return {**facts, "samples": samples, "classes": classes}


def _counts(part: Dataset, num_classes: int) -> Any:
    """How many labels there are of each class; those that stand for none do not count."""
    if not num_classes:
        return ()
    labels = part.labels[np.arange(len(part))].ravel()
    return np.bincount(labels[(labels >= 0) & (labels < num_classes)], minlength=num_classes)


def _title(label: Any, names: list[str]) -> str:
    """A label in a word or a few."""
    if np.ndim(label):
        return " ".join(f"{value:g}" for value in label)
    return names[label] if 0 <= label < len(names) else f"{label:g}"


def _draw(dataset: Dataset, names: list[str], picture: Path, *, spikes: bool) -> None:
    count = min(SPIKE_SAMPLES if spikes else SHEET_SAMPLES, len(dataset))
    indices = np.arange(count, dtype=np.int64)
    titles = [""] * count
    if dataset.labels is not None and dataset.labels.ndim <= 2:
        titles = [_title(label, names) for label in dataset.labels[indices]]
    (draw_spikes if spikes else draw_sheet)(picture, dataset.samples[indices], titles)


def _silent(_: str) -> None:
    pass
