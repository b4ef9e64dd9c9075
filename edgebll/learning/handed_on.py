"""In which numbers blocks hand on: whether a block's output comes out of its module in half precision.

Between blocks everything is float32, as the streams say. A block that ends in a convolution, or in batch norm or an activation
behind one, gave numbers of half precision; the next block takes them as such again. Its identity shortcuts and activations
then compute in half precision, as in a network in one piece. A block that ends in float32, as a transformer's residual stream
does, is not rounded where the network is cut.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from edgebll.learning.modules.module_record import untouched
from edgebll.learning.networks import BlockNetwork
from edgebll.learning.precision import Precision


def block_precisions(network: BlockNetwork, precision: Precision) -> list[Precision]:
    """The precision of each block's step.

    Args:
        network: its blocks are run once on a batch of two, for evaluation.
        precision: of all of them.
    """
    count = len(network.blocks)
    if count == 1 or not precision.heads:
        return [precision] * count
    given = _given(network, precision)
    return [precision, *(replace(precision, narrow=dtype == precision.compute) for dtype in given[:-1])]


def _given(network: BlockNetwork, precision: Precision) -> list[torch.dtype | None]:
    """The dtype that each block's module gives; None from where a module fails, which its step will tell."""
    x, inputs = network.inputs.first(2), network.inputs.first_of_side(2)
    found: list[torch.dtype | None] = []
    with untouched(network), torch.no_grad(), precision.autocast(x.device):
        network.eval()
        for block, names in zip(network.blocks, network.reads, strict=True):
            try:
                x = block(x, *(inputs[name] for name in names))
            except Exception:  # anything can happen in a module of the user's own
                break
            found.append(x.dtype)
    return [*found, *[None] * (len(network.blocks) - len(found))]
