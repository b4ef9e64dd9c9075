"""Operations of a network on samples, by block and together, as `edgebll eval --operations` tells them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from edgebll.data import Dataset, eval_batches
from edgebll.kernel.errors import ConfigError
from edgebll.learning.networks import BlockNetwork
from edgebll.learning.operations.block_operations import BlockOperations, counted
from edgebll.learning.operations.energy_estimate import ASSUMPTIONS, estimate

_BATCH = 64


def network_operations(
    network: BlockNetwork, names: Sequence[str], dataset: Dataset, most: int | None = None, batch_size: int = _BATCH
) -> dict[str, Any]:
    """Count what a network takes on samples of a data set.

    Args:
        network: with its weights; it is in evaluation mode afterwards.
        names: of its blocks.
        dataset: whose samples it sees.
        most: look at so many samples, from the first; None for all.
        batch_size: samples that it computes at once, at the most.

    Returns:
        "samples", "blocks" (each with "block" and its figures), "network" (the same of all together), "assumptions" of the
        energies, and "not_counted", classes of layers that no count knows.

    Raises:
        ConfigError: the network takes several inputs. DataError: the samples do not fit.
    """
    if network.inputs.side:
        raise ConfigError(
            "operations are counted of networks of one input, and this one has side inputs; leave --operations out"
        )
    seen = dataset.for_task(network.task).as_dtype(network.inputs.dtype)
    found = operations_of(network, seen, most, min(batch_size, _BATCH))
    whole = BlockOperations()
    for block in found:
        whole.add(block)
    samples = _seen(dataset, most)
    blocks = [{"block": name, **_told(each, samples)} for name, each in zip(names, found, strict=True)]
    rest = {"assumptions": ASSUMPTIONS, "not_counted": sorted(whole.not_counted)}
    return {"samples": samples, "blocks": blocks, "network": _told(whole, samples), **rest}


def operations_of(
    network: BlockNetwork, dataset: Dataset, most: int | None = None, batch_size: int = _BATCH
) -> list[BlockOperations]:
    """What each block takes, over samples of a data set.

    Args:
        network: with its weights; it is in evaluation mode afterwards.
        dataset: of the network's task and dtype.
        most: look at so many samples, from the first; None for all.
        batch_size: samples that it computes at once, at the most.
    """
    network.eval()
    samples = _seen(dataset, most)
    with torch.no_grad(), counted(list(network.blocks)) as found:
        for indices, count in eval_batches(samples, min(batch_size, samples)):
            network(torch.from_numpy(np.array(dataset.inputs(indices)[:count])))
    return found


def _seen(dataset: Dataset, most: int | None) -> int:
    return len(dataset) if most is None else min(most, len(dataset))


def _told(counts: BlockOperations, samples: int) -> dict[str, Any]:
    dense, macs, acs = (count / samples for count in (counts.dense, counts.macs, counts.acs))
    return {
        "footprint_bytes": counts.footprint_bytes,
        "connection_sparsity": counts.connection_sparsity,
        "activation_sparsity": counts.activation_sparsity,
        "dense": dense,
        "effective_macs": macs,
        "effective_acs": acs,
        "energy_nj": list(estimate(macs, acs)),
        "dense_energy_nj": list(estimate(dense, 0)),
    }
