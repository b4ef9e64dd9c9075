"""Operations of what a run or a bundle has learnt, on a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from edgebll.data import Dataset
from edgebll.kernel.errors import ConfigError
from edgebll.learning.operations.network_operations import network_operations
from edgebll.learning.training.module_state import module_state
from edgebll.learning.training.torch_device import CPU, torch_settings
from edgebll.learning.training.trained_network import open_trained


def measure_operations(path: Path, dataset: Dataset, threads: int, most: int | None = None) -> dict[str, Any]:
    """Count what a trained network takes on the samples of a data set.

    Args:
        path: a run folder or a bundle.
        dataset: whose samples it sees.
        threads: of PyTorch meanwhile.
        most: look at so many samples, from the first; None for all.

    Returns:
        As `network_operations`.

    Raises:
        ConfigError: the network's code is not known here, or it takes several inputs.
        BundleError: there is neither a run nor a bundle, or it is not whole. DataError: the samples do not fit.
    """
    trained = open_trained(path)
    network = trained.network
    if network is None:
        raise ConfigError(trained.without or f"the network of {path} was made in Python and is in no file; count it there")
    network.load_state_dict(module_state(trained, network), strict=True)
    with torch_settings(torch.device(CPU), threads, exact=True):
        return network_operations(network, [block.name for block in trained.blocks], dataset, most)
