"""The outputs of a trained network's blocks on samples of a data set, averaged over space to few cells."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from edgebll.data import Dataset, eval_batches
from edgebll.kernel.errors import DataError
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
        samples: how many at most. Fewer than there are, are drawn without order: files may be sorted by class.
        cells: a side, to which maps are averaged.

    Raises:
        DataError: the samples are not those of the network, or none has a class.
    """
    if dataset.input_shape != network.input_shape or dataset.outputs != network.shapes[-1]:
        raise DataError(
            f"the network takes samples of shape {network.input_shape} and gives scores {network.shapes[-1]}, but "
            f"{dataset.name} has samples {dataset.input_shape} with labels {dataset.target_shape}; give the data set it was "
            "trained on"
        )
    chosen = np.arange(len(dataset))
    if samples < len(dataset):
        chosen = np.sort(np.random.RandomState(0).permutation(len(dataset))[:samples])
    found: list[list[Floats]] = [[] for _ in network.blocks]
    labels: list[Ints] = []
    network.eval()
    for places, count in eval_batches(len(chosen), min(_BATCH, len(chosen))):
        indices = chosen[places]
        y = dataset.targets(indices)[:count]
        labels.append(np.where(y.sum(1) > 0, y.argmax(1), -1))
        a = torch.from_numpy(np.array(dataset.inputs(indices)))
        with torch.no_grad():
            for index, block in enumerate(network.blocks):
                a = block(a)
                found[index].append(pooled(a, cells)[:count].double().numpy())
    whole = np.concatenate(labels)
    if not (whole >= 0).any():
        raise DataError(f"{dataset.name}: none of {len(whole)} samples has a class; give samples with labels")
    return [np.concatenate(parts)[whole >= 0] for parts in found], whole[whole >= 0]


def pooled(a: Tensor, cells: int) -> Tensor:
    """A block's output (B, F, ...) averaged to at most `cells` a side, as (B, features)."""
    space = folded_shape(tuple(a.shape[1:]))[1:]
    averaged: Tensor = pool_to(space, tuple(min(cells, extent) for extent in space))(fold(a))
    return averaged.flatten(1).float()
