"""Operations of a trained network on a data set, by block and together, as `edgebll eval --operations` tells them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgebll.data import Dataset, eval_batches
from edgebll.kernel.errors import ConfigError
from edgebll.learning.networks import BlockNetwork
from edgebll.learning.operations.block_operations import BlockOperations, counted
from edgebll.learning.operations.energy_estimate import ASSUMPTIONS, estimate
from edgebll.learning.training.module_state import module_state
from edgebll.learning.training.torch_device import CPU, torch_settings
from edgebll.learning.training.trained_network import open_trained

_BATCH = 64


def measure_operations(path: Path, dataset: Dataset, threads: int) -> dict[str, Any]:
    """Count what a trained network takes on the samples of a data set.

    Args:
        path: a run folder or a bundle.
        dataset: whose samples it sees.
        threads: of PyTorch meanwhile.

    Returns:
        "samples", "blocks" (each with "block" and its figures), "network" (the same of all together), "assumptions" of the
        energies, and "not_counted", classes of layers that no count knows.

    Raises:
        ConfigError: the network's code is not known here, or it takes several inputs.
        BundleError: there is neither a run nor a bundle, or it is not whole. DataError: the samples do not fit.
    """
    trained = open_trained(path)
    network = trained.network
    if network is None:
        raise ConfigError(trained.without or f"the network of {path} was made in Python and is in no file; count it there")
    if network.inputs.side:
        raise ConfigError(
            "operations are counted of networks of one input, and this one has side inputs; leave --operations out"
        )
    network.load_state_dict(module_state(trained, network), strict=True)
    with torch_settings(torch.device(CPU), threads, exact=True):
        found = operations_of(network, dataset.for_task(network.task).as_dtype(network.inputs.dtype))
    whole = BlockOperations()
    for block in found:
        whole.add(block)
    samples = len(dataset)
    blocks = [{"block": spec.name, **_told(each, samples)} for spec, each in zip(trained.blocks, found, strict=True)]
    rest = {"assumptions": ASSUMPTIONS, "not_counted": sorted(whole.not_counted)}
    return {"samples": samples, "blocks": blocks, "network": _told(whole, samples), **rest}


def operations_of(network: BlockNetwork, dataset: Dataset) -> list[BlockOperations]:
    """What each block takes, over all samples of a data set.

    Args:
        network: with its weights; it is in evaluation mode afterwards.
        dataset: of the network's task and dtype.
    """
    network.eval()
    size = min(_BATCH, len(dataset))
    with torch.no_grad(), counted(list(network.blocks)) as found:
        for indices, count in eval_batches(len(dataset), size):
            network(torch.from_numpy(np.array(dataset.inputs(indices)[:count])))
    return found


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
