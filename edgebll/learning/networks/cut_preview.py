"""What a cut makes of a network, before anything is trained: the size and the work of every block, and what goes over links."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from torch import fx, nn

from edgebll.learning.networks.block_network import BlockNetwork
from edgebll.learning.networks.forward_macs import macs_of

_SAMPLES, _FLOAT_BYTES = 2, 4


@dataclass(frozen=True)
class PreviewedBlock:
    """One block of a network that is cut.

    Attributes:
        name: of the block.
        first: the first layer in it, by its name in the user's module; of edgebll's own networks by its place in the block.
        last: the last one.
        parameters: numbers that are learnt.
        macs: multiply-accumulates of its forward pass, a sample; a training step takes about three times as many.
        output_shape: of one sample of what it gives.
        link_bytes: of one sample on the link to the next block, in float32; 0 for the last block.
    """

    name: str
    first: str
    last: str
    parameters: int
    macs: int
    output_shape: tuple[int, ...]
    link_bytes: int


def cut_preview(network: BlockNetwork) -> list[PreviewedBlock]:
    """The blocks of a network with their sizes; the network is not changed.

    Args:
        network: it.

    Examples:
        >>> import edgebll
        >>> from edgebll.learning.networks.cut_preview import cut_preview
        >>> network = edgebll.make_network("mlp", num_blocks=2, num_classes=10, input_shape=(1, 8, 8), seed=0)
        >>> [(block.macs, block.output_shape, block.link_bytes) for block in cut_preview(network)]
        [(147456, (256,), 1024), (68096, (10,), 0)]
    """
    x, side, found = network.inputs.first(_SAMPLES), network.inputs.first_of_side(_SAMPLES), []
    for index, (block, shape) in enumerate(zip(network.blocks, network.shapes[1:], strict=True)):
        macs, x = macs_of(block, x, *(side[name] for name in network.reads[index]))
        layers = list(_layers(block)) or [""]
        parameters = sum(parameter.numel() for parameter in block.parameters() if parameter.requires_grad)
        beyond = {name for names in network.reads[index + 1 :] for name in names}
        link = 0 if index == len(network.blocks) - 1 else _FLOAT_BYTES * prod(shape)
        link += sum(side[name].nbytes // _SAMPLES for name in beyond)
        found.append(PreviewedBlock(f"block{index}", layers[0], layers[-1], parameters, macs, shape, link))
    return found


def _layers(block: nn.Module) -> Iterator[str]:
    """Names of its layers, in the order of its calls where that is known."""
    if isinstance(block, fx.GraphModule):
        yield from (str(node.target) for node in block.graph.nodes if node.op == "call_module")
    else:
        yield from (name for name, _ in block.named_children())
