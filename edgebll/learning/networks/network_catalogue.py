"""What networks there are: their sizes, options and where they are cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgebll.learning.networks import NETWORKS, build_units

#: Numbers of blocks whose even splits are told, where the network has as many units.
BLOCKS = (2, 4, 8, 16)


@dataclass(frozen=True)
class NetworkEntry:
    """A network as people choose it.

    Attributes:
        name: as `--network` takes it.
        summary: what it is, in one line.
        inputs: "images", "sequences" or "any".
        options: name -> default.
        input_shape: of one sample of the task it is known from; layers, parameters and splits are counted for it.
        num_classes: classes of that task.
        units: pieces it can be cut into at most.
        layers: with weights.
        parameters: all numbers that are learnt.
        stages: units of each block for the split "stages"; empty if it has none.
        even: number of blocks -> units of each block for the split "even".
    """

    name: str
    summary: str
    inputs: str
    options: dict[str, Any]
    input_shape: tuple[int, ...]
    num_classes: int
    units: int
    layers: int
    parameters: int
    stages: tuple[int, ...]
    even: dict[int, list[int]]


def catalogue() -> list[NetworkEntry]:
    """All shipped networks with their default options."""
    return [_entry(name) for name in NETWORKS]


def _entry(name: str) -> NetworkEntry:
    architecture = NETWORKS[name]()
    shape, num_classes = architecture.example
    network = build_units(name, num_classes, shape)
    modules = [unit.module for unit in (*network.units, network.classifier) if unit is not None]
    count = len(network.units)
    return NetworkEntry(
        name=name,
        summary=architecture.summary,
        inputs=architecture.inputs,
        options=architecture.options(),
        input_shape=shape,
        num_classes=num_classes,
        units=count,
        layers=network.layers,
        parameters=sum(p.numel() for module in modules for p in module.parameters() if p.requires_grad),
        stages=network.stages,
        even={blocks: network.sizes(blocks) for blocks in BLOCKS if blocks <= count},
    )
