"""Networks exported for microcontrollers: of listed operators alone, and training as the user's module does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
from torch import nn

from edgebll.kernel.bundle import Bundle, open_bundle
from edgebll.learning import Optimizer, make_rule
from edgebll.learning.networks import BlockNetwork
from edgebll.learning.rule import Rule
from edgebll_export import export_bundle, make_target, verify_bundle
from support.small_networks import foreign_operators, small_network_of

TARGET = make_target("microcontroller")


def exported(network: BlockNetwork, rule: Rule, optimizer: Optimizer, path: Path) -> Bundle:
    """A bundle whose graphs hold listed operators alone."""
    how: dict[str, Any] = {"rule": rule, "optimizer": optimizer, "batch_size": 4}
    export_bundle(network, path=path, target=TARGET, **how)
    bundle = open_bundle(path)
    for block in bundle.manifest.blocks:
        for graph in block.graphs:
            assert not foreign_operators(onnx.load_from_string(bundle.graph(block.name, graph)))
    return bundle


def check_training(name: str, rule: str, optimizer: Optimizer, path: Path) -> None:
    """Export a network of SMALL_NETWORKS, and compare its graphs with its own modules.

    Args:
        name: of the network.
        rule: by name.
        optimizer: that trains it.
        path: for the bundle.
    """
    network = small_network_of(name)
    if rule in ("backprop", "fa"):
        network = BlockNetwork([nn.Sequential(*network.blocks)], network.num_classes, network.input_shape)
    bundle = exported(network, make_rule(rule), optimizer, path)
    assert bundle.manifest.target == "microcontroller"
    rows = verify_bundle(path, steps=3, network=network)
    assert {"step", "forward"} <= {row.graph for row in rows}
    assert not [row for row in rows if row.failed]
