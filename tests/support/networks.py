"""Every shipped network at a size that suits tests."""

from __future__ import annotations

from typing import Any

import pytest

from edgebll.learning.networks import NETWORKS, BlockNetwork, make_network

#: Options; what is not here is small by itself.
SMALL: dict[str, dict[str, Any]] = {
    "resnet18": {"width": 8},
    "resnet50": {"width": 4},
    "vgg16": {"width": 8, "hidden": 12},
    "alexnet": {"width": 8, "hidden": 12},
    "transformer": {"depth": 6, "dim": 8, "hidden": 12},
    "spiking-mlp": {"width": 16, "time_steps": 3},
    "spiking-conv": {"width": 4, "time_steps": 3},
    "byte-transformer": {"depth": 6, "dim": 8, "heads": 2, "hidden": 12},
}
EVERY = pytest.mark.parametrize("name", list(NETWORKS))


def small_network(name: str, seed: int = 5, **how: Any) -> BlockNetwork:
    """A network on images of 16 pixels a side or 10 positions, with 7 classes; `how` it is cut."""
    shape = (10, 10) if NETWORKS[name].inputs == "sequences" else (3, 16, 16)
    return make_network(name, num_classes=7, input_shape=shape, seed=seed, options=SMALL.get(name), **how)
