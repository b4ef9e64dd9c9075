"""Networks as sequences of blocks. Needs torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.own_code import CodeOrigin, make
from edgebll.kernel.spec.manifest import TensorSpec
from edgebll.kernel.support.plain_dataclasses import from_plain
from edgebll.kernel.tasks import CLASSIFICATION, Task, check_classes
from edgebll.learning.allocation import telling_of_memory
from edgebll.learning.networks.architecture import INPUTS, Architecture
from edgebll.learning.networks.block_network import BlockNetwork, PlacedUnit
from edgebll.learning.networks.byte_transformer import ByteTransformer
from edgebll.learning.networks.cutting.cut_module import USUAL_BLOCKS
from edgebll.learning.networks.inputs import Inputs
from edgebll.learning.networks.mlp import MLP
from edgebll.learning.networks.network_registry import CONTEXT, NetworkRegistry
from edgebll.learning.networks.own_network import check_no_side_inputs, describe, own_network
from edgebll.learning.networks.plain_conv import VGG16, AlexNet
from edgebll.learning.networks.resnet import ResNet8, ResNet18, ResNet32, ResNet50, ResNet110
from edgebll.learning.networks.spiking.spiking_conv import SpikingConv
from edgebll.learning.networks.spiking.spiking_mlp import SpikingMLP
from edgebll.learning.networks.transformer import Transformer
from edgebll.learning.networks.unit_network import EVEN, UnitNetwork

__all__ = [
    "NETWORKS",
    "NETWORK_REGISTRY",
    "Architecture",
    "BlockNetwork",
    "Inputs",
    "PlacedUnit",
    "build_units",
    "make_architecture",
    "make_network",
    "rebuild_network",
    "usual_blocks",
]

NETWORKS: dict[str, type[Architecture]] = {
    network.name: network
    for network in (
        *(MLP, ResNet8, ResNet18, ResNet32, ResNet50, ResNet110, VGG16, AlexNet, Transformer, ByteTransformer),
        *(SpikingMLP, SpikingConv),
    )
}
NETWORK_REGISTRY = NetworkRegistry(NETWORKS)


def make_network(
    name: str,
    *,
    num_blocks: int | None = None,
    num_classes: int | None = None,
    input_shape: tuple[int, ...],
    seed: int,
    split: str = EVEN,
    options: Mapping[str, Any] | None = None,
    recorded: CodeOrigin | None = None,
    task: Task = CLASSIFICATION,
    outputs: tuple[int, ...] | None = None,
    side_inputs: Sequence[TensorSpec] = (),
) -> BlockNetwork:
    """Build a network with seeded weights; the global random state is left as it was.

    Args:
        name: one of NETWORKS, or FILE.py:NAME or MODULE:NAME of one of your own.
        num_blocks: cut it into so many blocks; None where `split` tells, and for as many as is usual.
        num_classes: classes of the task, at least 2; not needed where `outputs` is given.
        input_shape: shape of one sample, without the batch axis, e.g. (1, 28, 28).
        seed: decides weights.
        split: where it is cut: "even", "auto", "memory", "stages" or the number of units of each block (see
            `UnitNetwork.sizes`), or of your own modules the layers it is cut after, e.g. "features.3,features.7".
        options: of the network; a text is converted to its option's type ("32" to 32).
        recorded: where a run or a bundle says that it found the network.
        task: what the network is for, see `make_task`.
        outputs: shape of one sample of what it gives, e.g. (3,) for three numbers; by default (num_classes,).
        side_inputs: what a sample has besides x, without the batch axis; only networks of your own read some.

    Raises:
        ConfigError: unknown name or option, a split the network does not allow, fewer than two classes, an input it cannot
            take, or code that cannot be imported or has changed.

    Examples:
        >>> import edgebll
        >>> network = edgebll.make_network("resnet8", num_blocks=3, num_classes=10, input_shape=(1, 28, 28), seed=0)
        >>> network.shapes
        [(1, 28, 28), (16, 14, 14), (32, 7, 7), (10,)]
    """
    lower = "its options, as with --network-option KEY=VALUE, or take a smaller network"
    with torch.random.fork_rng(devices=[]), telling_of_memory(f"the network {name}", lower):
        torch.manual_seed(seed)
        found = NETWORK_REGISTRY.find(name, recorded)
        if found.origin is None:
            check_no_side_inputs(name, side_inputs)
            return build_units(name, num_classes, input_shape, options or {}, task, outputs).cut(num_blocks, split)
        classes = task.num_classes(_outputs_of(name, task, num_classes, outputs))
        known = (classes, input_shape, {spec.name: spec.shape for spec in side_inputs})
        made = NETWORK_REGISTRY.make(found, options or {}, dict(zip(CONTEXT, known, strict=True)))
        network = own_network(made, found, num_blocks, split, classes, input_shape, task, side_inputs)
        describe(network, found.origin, NETWORK_REGISTRY.all_options(name, options or {}, recorded))
        return network


def _outputs_of(name: str, task: Task, num_classes: int | None, outputs: tuple[int, ...] | None) -> tuple[int, ...]:
    """What a network is to give: the shape that is said, else that of scores for each class."""
    if outputs is None and num_classes is None:
        raise ConfigError(f"{name} needs to know what to give; tell it the number of classes, or the shape of its outputs")
    outputs = outputs or (num_classes or 0,)
    if task.classes:
        check_classes(task.num_classes(outputs))
    return outputs


def make_architecture(name: str, options: Mapping[str, Any]) -> Architecture:
    """A shipped network with its options; a text is converted to its option's type.

    Raises:
        ConfigError: unknown name or option, or a value the network refuses.

    Examples:
        >>> from edgebll.learning.networks import make_architecture
        >>> make_architecture("mlp", {"width": "32"}).width
        32
    """
    return make(NETWORK_REGISTRY.find(name), "network", options, Architecture)


def usual_blocks(name: str) -> int | None:
    """Into how many blocks a network is cut where nobody says so; None where that depends on how many its code allows."""
    return USUAL_BLOCKS if name in NETWORKS else None


def build_units(
    name: str,
    num_classes: int | None,
    input_shape: tuple[int, ...],
    options: Mapping[str, Any] | None = None,
    task: Task = CLASSIFICATION,
    outputs: tuple[int, ...] | None = None,
) -> UnitNetwork:
    """A shipped network before it is cut, with weights from PyTorch's generator; arguments and errors are `make_network`'s."""
    architecture = make_architecture(name, options or {})
    outputs = _outputs_of(name, task, num_classes, outputs)
    axes, words = INPUTS[architecture.inputs]
    if axes not in (None, len(input_shape)):
        raise ConfigError(f"{name} takes {words}, not samples of shape {input_shape}")
    return architecture.build(task.num_outputs(outputs), input_shape).for_task(task, outputs)


def rebuild_network(
    description: Mapping[str, Any],
    num_classes: int,
    input_shape: tuple[int, ...],
    task: Task = CLASSIFICATION,
    outputs: tuple[int, ...] | None = None,
    side_inputs: Sequence[TensorSpec] = (),
) -> BlockNetwork:
    """The network that a BlockNetwork's `description` (a bundle's manifest.network) tells of, with weights of its own.

    Args:
        description: of the network.
        num_classes: of the network, or of its numbers where the task has no classes.
        input_shape: of one sample.
        task: what the network is for.
        outputs: shape of one sample of what it gives; by default (num_classes,).
        side_inputs: what a sample has besides x, without the batch axis.

    Raises:
        ConfigError: it is not a network that has a name, it has other options now, or its code is missing or has changed.
        PlainError: the description is malformed.
    """
    options = dict(description["options"])
    blocks, split = options.pop("num_blocks", None), options.pop("split", EVEN)
    code = description.get("code")
    return make_network(
        description["name"],
        num_blocks=blocks,
        split=split,
        options=options,
        num_classes=num_classes,
        input_shape=input_shape,
        seed=0,
        recorded=None if code is None else from_plain(CodeOrigin, code, "code of the network"),
        task=task,
        outputs=outputs,
        side_inputs=side_inputs,
    )
