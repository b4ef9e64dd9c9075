"""Samples to compare a merged model on, and to choose the scales of int8 numbers by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgebll.data.example_samples import training_samples
from edgebll.data.registry import load_dataset
from edgebll.data.token_stream import INPUT_RANGE, check_side_inputs
from edgebll.kernel.errors import ConfigError, DataError
from edgebll.kernel.runs.listener import Listener
from edgebll.kernel.spec.side_inputs import of_a_sample
from edgebll.kernel.state.block_state import Array
from edgebll.learning.networks.inputs import Inputs
from edgebll.learning.training.trained_network import TrainedNetwork
from edgebll_export.bundles.example_steps import verify_inputs
from edgebll_export.merged.join import INPUT

_SEED = 0


def comparison_samples(trained: TrainedNetwork, count: int, data_dir: Path | None, listener: Listener) -> dict[str, Array]:
    """Samples as the network takes them, by input (count, ...): of its data set, or of what is known of its inputs.

    Args:
        trained: the network.
        count: how many.
        data_dir: folder with the data set's files.
        listener: is told where there are none of the data set.

    Raises:
        ConfigError: the network takes whole numbers, and nothing says which.
    """
    first = trained.blocks[0].input
    side = of_a_sample(trained.blocks)
    examples = training_samples(trained.data, first, data_dir, listener.noted, trained.data_options, side)
    drawn = _known(trained, examples).draw_all(count, np.random.default_rng(_SEED))
    return {name: value.numpy() for name, value in drawn.items()}


def _known(trained: TrainedNetwork, examples: Any) -> Inputs:
    if trained.bundle is not None and trained.network is not None:
        return verify_inputs(trained.bundle, trained.network, examples)
    if trained.network is not None:
        return trained.network.inputs.with_examples(examples)
    first, recipe = trained.blocks[0].input, trained.bundle.manifest.recipe if trained.bundle is not None else {}
    low_high = recipe.get(INPUT_RANGE)
    declared = (float(low_high[0]), float(low_high[1])) if isinstance(low_high, list) and len(low_high) == 2 else None
    side = {spec.name: Inputs(spec.shape, spec.dtype) for spec in of_a_sample(trained.blocks)}
    return Inputs(first.shape[1:], first.dtype, declared, side=side).with_examples(examples)


def calibration_batches(
    trained: TrainedNetwork, data: str | None, samples: int, batch: int, data_dir: Path | None
) -> list[dict[str, Array]]:
    """Batches of training samples, by input.

    Args:
        trained: the network.
        data: name of the data set; None for the one it was trained on.
        samples: how many at most.
        batch: size of each.
        data_dir: folder with the data set's files.

    Raises:
        ConfigError: nobody says which data set it is, or there are too few samples.
        DataError: it is not here, or does not fit the network.
    """
    name = data or trained.data
    if name is None:
        raise ConfigError(
            f"int8 needs samples to choose its scales by, and {trained.path} names no data set; give one with --data"
        )
    first = trained.blocks[0].input
    dataset = load_dataset(name, "train", data_dir, samples, trained.data_options if name == trained.data else {}).as_dtype(
        first.dtype
    )
    if dataset.input_shape != first.shape[1:]:
        raise DataError(
            f"{trained.path} takes samples of shape {first.shape[1:]}, but those of {name} have {dataset.input_shape}"
        )
    if len(dataset) < batch:
        raise ConfigError(f"int8 needs at least one batch of {batch} samples to choose its scales by, but got {len(dataset)}")
    check_side_inputs(str(trained.path), trained.blocks, dataset, "choose scales on the data it was trained on")
    rows = [np.arange(start, start + batch) for start in range(0, len(dataset) - batch + 1, batch)]
    return [{INPUT: dataset.inputs(some), **dataset.side_inputs(some)} for some in rows]
