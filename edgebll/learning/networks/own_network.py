"""A network of a user's own as a network of blocks, and what bundles remember of it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.own_code import CodeOrigin, Resolved
from edgebll.kernel.spec.manifest import TensorSpec
from edgebll.kernel.support.plain_dataclasses import to_plain
from edgebll.kernel.tasks import Task
from edgebll.learning.networks.architecture import Architecture
from edgebll.learning.networks.block_network import BlockNetwork
from edgebll.learning.networks.cutting.cut_module import USUAL_BLOCKS, cut_module
from edgebll.learning.networks.inputs import Inputs
from edgebll.learning.networks.unit_network import INTO_BLOCKS, UnitNetwork


def own_network(
    made: Any,
    found: Resolved,
    num_blocks: int | None,
    split: str,
    num_classes: int,
    input_shape: tuple[int, ...],
    task: Task,
    side_inputs: Sequence[TensorSpec] = (),
) -> BlockNetwork:
    """What a user's class or factory made, in blocks.

    Args:
        made: a module, a list of modules that are the blocks, a `BlockNetwork`, or what edgebll's own are made of.
        found: what it was made from; what was there before is copied, so that nothing of the user's is changed.
        num_blocks: cut it into so many blocks; None where `split` tells, or for as many as is usual.
        split: where it is cut.
        num_classes: classes of the task, or the numbers that it judges.
        input_shape: of one sample.
        task: what the network is for.
        side_inputs: what a sample has besides x, without the batch axis.

    Raises:
        ConfigError: it cannot be cut like this, or does not fit the task.
    """
    if made is found.value:
        made = copy.deepcopy(made)
    if isinstance(made, Architecture):
        made = made.build(num_classes, input_shape)
    side = {spec.name: Inputs(spec.shape, spec.dtype) for spec in side_inputs}
    if isinstance(made, UnitNetwork):
        check_no_side_inputs(found.name, side_inputs)
        is_told = num_blocks is not None or split not in INTO_BLOCKS
        units = replace(made, task=task)
        return units.cut(num_blocks if is_told else min(USUAL_BLOCKS, len(units.units)), split)
    if isinstance(made, nn.Module) and not isinstance(made, BlockNetwork):
        if not side:
            return cut_module(made, found.name, num_blocks, split, num_classes, input_shape, task)
        if num_blocks != 1 or split not in INTO_BLOCKS:
            raise ConfigError(
                f"{found.name} is one module, and the data have {', '.join(side)} besides x, with which no place is looked for "
                "to cut it at; give a function that returns a list of its blocks, or train it in one block"
            )
        network = BlockNetwork([made], num_classes, input_shape, task=task, side_inputs=side)
        network.cut_from = (made,)
        return network
    network = (
        made
        if isinstance(made, BlockNetwork)
        else BlockNetwork(list(made), num_classes, input_shape, task=task, side_inputs=side)
    )
    if network.task != task:
        raise ConfigError(f"{found.name} is made for {network.task.name}, not for {task.name}; give its BlockNetwork that task")
    _check_given_blocks(network, found.name, num_blocks, num_classes, input_shape)
    _check_given_inputs(network, found.name, side_inputs)
    return network


def _check_given_inputs(network: BlockNetwork, name: str, side_inputs: Sequence[TensorSpec]) -> None:
    own = {key: (one.shape, one.dtype) for key, one in network.inputs.side.items()}
    if own != {spec.name: (spec.shape, spec.dtype) for spec in side_inputs}:
        given = ", ".join(spec.name for spec in side_inputs) or "nothing"
        raise ConfigError(
            f"{name} is made for samples with {', '.join(own) or 'nothing'} besides x, but the data have {given}, or other "
            "shapes; let it return a list of its blocks, or choose other data"
        )


def check_no_side_inputs(name: str, side_inputs: Sequence[TensorSpec]) -> None:
    """Raise ConfigError if samples have more than x, for a network that takes x alone."""
    if side_inputs:
        raise ConfigError(
            f"{name} takes x alone, but the data have {', '.join(spec.name for spec in side_inputs)} besides; give a network "
            "of your own whose blocks read it, or leave it out of the data option inputs"
        )


def describe(network: BlockNetwork, origin: CodeOrigin, options: Mapping[str, Any]) -> None:
    """Let a network's description say how it is made again.

    Args:
        network: it.
        origin: where its code is.
        options: of the class or factory.
    """
    cut = {name: value for name, value in network.description["options"].items() if name in ("num_blocks", "split")}
    blocks = {"num_blocks": len(network.blocks), **cut}
    network.description = {"name": origin.short, "options": {**options, **blocks}, "code": to_plain(origin)}


def _check_given_blocks(
    network: BlockNetwork, name: str, num_blocks: int | None, num_classes: int, input_shape: tuple[int, ...]
) -> None:
    if num_blocks not in (None, len(network.blocks)):
        raise ConfigError(f"{name} comes in {len(network.blocks)} blocks, not {num_blocks}; leave the number of blocks out")
    if (network.num_classes, network.input_shape) != (num_classes, tuple(input_shape)):
        raise ConfigError(
            f"{name} is made for samples of shape {network.input_shape} in {network.num_classes} classes, but the data has "
            f"{tuple(input_shape)} in {num_classes}; let it take num_classes and input_shape, or choose other data"
        )
