"""`edgebll probe`: what each block of a trained network tells of the label."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgebll.data import Dataset, load_dataset
from edgebll.data.registry import recorded_options
from edgebll.kernel.errors import ConfigError, DataError
from edgebll.kernel.support import bounds
from edgebll.kernel.support.option_values import KeyValues, parse_options
from edgebll.kernel.tasks import Classification
from edgebll.learning.networks import BlockNetwork
from edgebll.learning.probing.block_features import block_features
from edgebll.learning.probing.measures import (
    Floats,
    Ints,
    LinearProbe,
    effective_rank,
    fisher_ratio,
    information_bits,
    label_bits,
)
from edgebll.learning.training.module_state import module_state
from edgebll.learning.training.trained_network import open_trained

#: Samples that the probe learns from, and samples that everything is measured on, at most.
SAMPLES = 5000


@dataclass(frozen=True)
class BlockProbe:
    """What one block tells; see `edgebll.learning.probing.measures`.

    Attributes:
        block: its name.
        features: F, how many there are.
        probe_accuracy: of the linear probe on test samples, 0 to 1.
        information: bits of the label in the features, at least.
        effective_rank: directions that the features use, from 0 to F.
        fisher_ratio: scatter of class means over scatter inside the classes.
    """

    block: str
    features: int
    probe_accuracy: float
    information: float
    effective_rank: float
    fisher_ratio: float


@dataclass(frozen=True)
class NetworkProbe:
    """What all blocks tell.

    Attributes:
        path: the run or bundle.
        data: name of the data set.
        data_source: where its samples come from, where that matters.
        cells: a side, to which maps were averaged.
        train_count: samples that the probes learnt from.
        test_count: samples that everything was measured on.
        label_bits: the entropy of their labels.
        blocks: in stream order; the last one's features are the class scores.
    """

    path: str
    data: str
    data_source: str
    cells: int
    train_count: int
    test_count: int
    label_bits: float
    blocks: tuple[BlockProbe, ...]

    def to_plain(self) -> dict[str, Any]:
        """As dicts, lists and scalars."""
        return asdict(self)


def probe(
    path: str | os.PathLike[str],
    *,
    data: str | None = None,
    data_option: KeyValues | None = None,
    samples: int = SAMPLES,
    cells: int = 1,
    data_dir: str | os.PathLike[str] | None = None,
    progress: Callable[[str], None] | None = None,
) -> NetworkProbe:
    """Measure what each block of a trained network tells of the label.

    Args:
        path: a run folder of `train`, `simulate` or `run`, or a bundle.
        data: name or path of a data set with training and test samples; by default what the run was trained on.
        data_option: options of own data; by default those of the training.
        samples: that probes learn from, and that are measured on, at most; drawn alike each time. Where each position of a
            sequence has a class, positions are counted.
        cells: a side, to which maps are averaged: 1 for the mean over space.
        data_dir: folder with the data set's files.
        progress: is told the name of each block before it is measured.

    Raises:
        BundleError: there is neither a run nor a bundle, or it is not whole.
        ConfigError: an option is wrong, the network's code is not known, or samples have not one class each.
        DataError: the data set is missing or does not fit the network.
    """
    bounds.COUNT.check("samples", samples)
    bounds.COUNT.check("cells", cells)
    trained = open_trained(Path(path))
    network = trained.network
    if network is None:
        raise ConfigError(trained.without or f"the network of {path} was made in Python and is in no file; probe it there")
    _check_served(network)
    network.load_state_dict(module_state(trained, network), strict=True)
    name = data or trained.data
    if name is None:
        raise ConfigError(f"{path} does not say which data set it was trained on; give one with --data")
    options = recorded_options(data, trained.data_options, parse_options("data", data_option))
    folder = None if data_dir is None else Path(data_dir)
    sets = [load_dataset(name, split, folder, None, options) for split in ("train", "test")]
    (train, labels), (test, wanted) = (_features(network, dataset, samples, cells) for dataset in sets)
    rows = []
    for spec, own, others in zip(trained.blocks, train, test, strict=True):
        if progress is not None:
            progress(spec.name)
        rows.append(_measured(spec.name, own, labels, others, wanted, network.num_classes))
    source = sets[1].source
    return NetworkProbe(str(path), sets[1].name, source, cells, len(labels), len(wanted), label_bits(wanted), tuple(rows))


def _check_served(network: BlockNetwork) -> None:
    if not isinstance(network.task, Classification):
        raise ConfigError(
            f"edgebll probe measures networks that give each sample or position one class, and this one is for "
            f"{network.task.name}; use `edgebll eval`"
        )
    if network.inputs.side:
        raise ConfigError("edgebll probe measures networks of one input, and this one has side inputs; use `edgebll eval`")


def _features(network: BlockNetwork, dataset: Dataset, samples: int, cells: int) -> tuple[list[Floats], Ints]:
    fitting = dataset.for_task(network.task).as_dtype(network.inputs.dtype)
    return block_features(network, fitting, samples, cells)


def _measured(block: str, train: Floats, labels: Ints, test: Floats, wanted: Ints, num_classes: int) -> BlockProbe:
    if not (np.isfinite(train).all() and np.isfinite(test).all()):
        raise DataError(f"{block} gives numbers that are not finite, so there is nothing to measure; train it again")
    shares = LinearProbe(train, labels, num_classes).log_shares(test)
    accuracy = float((shares.argmax(1) == wanted).mean())
    return BlockProbe(
        block, test.shape[1], accuracy, information_bits(shares, wanted), effective_rank(test), fisher_ratio(test, wanted)
    )
