"""The outputs of a trained network's blocks on samples of a data set, averaged over space to few cells.

Where each position of a sequence has a class, (B, T, F, ...) with labels (B, T), each position is a sample.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from edgebll.data import Dataset, eval_batches
from edgebll.kernel.errors import ConfigError, DataError
from edgebll.learning.folded import fold, folded_shape
from edgebll.learning.heads import pool_to
from edgebll.learning.networks import BlockNetwork
from edgebll.learning.probing.measures import Floats, Ints

_BATCH = 128


def block_features(network: BlockNetwork, dataset: Dataset, samples: int, cells: int) -> tuple[list[Floats], Ints]:
    """Features (N, F) of each block, and labels (N,), of samples drawn from a data set; those without a class are left out.

    Args:
        network: with its trained weights; it is in evaluation mode afterwards.
        dataset: for the network's task and of its dtype.
        samples: how many at most, positions counted. Fewer than there are, are drawn without order, for files may be sorted by
            class.
        cells: a side, to which maps are averaged.

    Raises:
        DataError: the samples are not those of the network, or none has a class.
        ConfigError: a block gives nothing for each position.
    """
    if dataset.input_shape != network.input_shape or dataset.outputs != network.shapes[-1]:
        raise DataError(
            f"the network takes samples of shape {network.input_shape} and gives scores {network.shapes[-1]}, but "
            f"{dataset.name} has samples {dataset.input_shape} with labels {dataset.target_shape}; give the data set it was "
            "trained on"
        )
    positions = _positions(network)
    chosen, wanted = np.arange(len(dataset)), math.ceil(samples / positions)
    if wanted < len(dataset):
        chosen = np.sort(np.random.RandomState(0).permutation(len(dataset))[:wanted])
    found: list[list[Floats]] = [[] for _ in network.blocks]
    labels: list[Ints] = []
    network.eval()
    for places, count in eval_batches(len(chosen), min(_BATCH, len(chosen))):
        indices = chosen[places]
        y = dataset.targets(indices)[:count].reshape(count * positions, -1)
        labels.append(np.where(y.sum(1) > 0, y.argmax(1), -1))
        a = torch.from_numpy(np.array(dataset.inputs(indices)))
        with torch.no_grad():
            for index, block in enumerate(network.blocks):
                a = block(a)
                own = a[:count] if positions == 1 else a[:count].flatten(0, 1)
                found[index].append(pooled(own, cells).double().numpy())
    whole = np.concatenate(labels)
    if not (whole >= 0).any():
        raise DataError(f"{dataset.name}: none of {len(whole)} samples has a class; give samples with labels")
    known = np.flatnonzero(whole >= 0)[:samples]
    return [np.concatenate(parts)[known] for parts in found], whole[known]


def _positions(network: BlockNetwork) -> int:
    """T, how many classes a sample has."""
    if len(network.shapes[-1]) == 1:
        return 1
    positions = network.shapes[-1][0]
    for index, shape in enumerate(network.shapes[1:]):
        if len(shape) < 2 or shape[0] != positions:
            raise ConfigError(
                f"block{index} gives the shape {shape}, which has nothing for each of {positions} positions, so what it tells "
                "of each label cannot be measured; cut the network elsewhere"
            )
    return positions


def pooled(a: Tensor, cells: int) -> Tensor:
    """A block's output (B, F, ...) averaged to at most `cells` a side, as (B, features)."""
    space = folded_shape(tuple(a.shape[1:]))[1:]
    averaged: Tensor = pool_to(space, tuple(min(cells, extent) for extent in space))(fold(a))
    return averaged.flatten(1).float()
