"""Networks as sequences of blocks. Needs torch."""

from __future__ import annotations

from collections.abc import Callable

import torch

from edgebll.errors import ConfigError
from edgebll.networks.block_network import BlockNetwork, PlacedUnit, UnitNetwork
from edgebll.networks.mlp import mlp
from edgebll.networks.resnet import resnet8, resnet18

__all__ = ["NETWORKS", "BlockNetwork", "PlacedUnit", "make_network"]

NETWORKS: dict[str, Callable[[int, tuple[int, ...]], UnitNetwork]] = {
    "mlp": mlp,
    "resnet8": resnet8,
    "resnet18": resnet18,
}


def make_network(name: str, *, num_blocks: int, num_classes: int, input_shape: tuple[int, ...], seed: int) -> BlockNetwork:
    """Build a shipped network with seeded weights; the global random state is left as it was.

    Raises:
        ConfigError: unknown name, more blocks than the network has units, or an input it cannot take.
    """
    if name not in NETWORKS:
        raise ConfigError(f"unknown network {name!r}; known are {', '.join(NETWORKS)}")
    if name != "mlp" and len(input_shape) != 3:
        raise ConfigError(f"{name} takes images (channels, height, width), not samples of shape {input_shape}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return NETWORKS[name](num_classes, input_shape).cut(num_blocks)
