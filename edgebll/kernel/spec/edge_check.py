"""Edges: the FIFO streams between blocks. The chain feeds every block; side streams carry what blocks tell each other.

A learning rule declares them, a bundle's manifest holds them, and trainer, boards and host follow them.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgebll.kernel.errors import BundleError
from edgebll.kernel.spec.side_inputs import carried_inputs, side_inputs

if TYPE_CHECKING:
    from edgebll.kernel.spec.manifest import BlockSpec, TensorSpec

#: Name of the host's end of an edge.
HOST = "host"
_CHAIN = (("x", "y"), ("a", "y"))


@dataclass(frozen=True)
class EdgeSpec:
    """A FIFO stream from one block (or HOST) to another, one token a step.

    The chain carries x, y or a, y from HOST to the first block and from each block to the next, for training and evaluation,
    and after them the side inputs that are read there or later, see `edgebll.kernel.spec.side_inputs`.
    All other edges are side streams, which carry what blocks send each other in training steps: the token of training step t
    is read by the target's training step t + lag, and its first `lag` steps read zeros.

    Attributes:
        source: name of the block that writes it, or HOST where the chain begins.
        target: name of the block that reads it.
        tensors: names of the tensors a token carries, as the source calls them, e.g. ("a", "y").
        lag: number of initial tokens on the edge (0: the target waits for the source's token of the same step). Against the
            chain it bounds what pipelining gains: the target is at most `lag` steps ahead of the source, so with a lag of 1
            neighbours take turns, and d blocks from target to source all work at once from a lag of d on.

    Examples:
        >>> from edgebll.kernel.spec.edge_check import EdgeSpec, is_chain
        >>> is_chain(EdgeSpec("block0", "block1", ("a", "y")))
        True
        >>> is_chain(EdgeSpec("block1", "block0", ("grad",), lag=2))
        False
    """

    source: str
    target: str
    tensors: tuple[str, ...]
    lag: int = 0


def received_name(source: str, tensor: str) -> str:
    """What the target of a side stream calls a tensor of its source, e.g. "block1.table"."""
    return f"{source}.{tensor}"


def is_chain(edge: EdgeSpec) -> bool:
    """Whether an edge belongs to the chain."""
    return edge.tensors[:2] in _CHAIN


def check_edges(edges: Sequence[EdgeSpec], blocks: Sequence[BlockSpec]) -> None:
    """Refuse what cannot run.

    Raises:
        BundleError: the chain is not one edge without lag from HOST through all blocks in order, or carries other side inputs
            than are read; or a side stream carries what its source does not send, comes too late, or a block receives something
            else than its side streams carry.
    """
    order = [block.name for block in blocks]
    chain = [(edge.source, edge.target, edge.lag) for edge in edges if is_chain(edge)]
    if sorted(chain) != sorted((*ends, 0) for ends in itertools.pairwise([HOST, *order])):
        raise BundleError(f"the chain must run from the host through {', '.join(order)} without lag, but its edges are {chain}")
    for edge in edges:
        names = tuple(tensor.name for tensor in carried_inputs(blocks[order.index(edge.target) :])) if is_chain(edge) else ()
        if is_chain(edge) and edge.tensors[2:] != names:
            raise BundleError(f"the chain to {edge.target} must carry {', '.join(('x', 'y', *names))}, not {edge.tensors}")
    sides = [edge for edge in edges if not is_chain(edge)]
    if len({(edge.source, edge.target) for edge in sides}) != len(sides):
        raise BundleError("two side streams run between the same blocks; put their tensors into one")
    fed: dict[str, set[TensorSpec]] = {name: set() for name in order}
    for edge in sides:
        carried = _carried(edge, order, blocks)  # first: it refuses targets that `fed` does not have
        fed[edge.target] |= carried
    for block in blocks:
        wanted = set(block.received) - set(side_inputs(block))
        if fed[block.name] != wanted:
            told = (", ".join(sorted(t.name for t in tensors)) or "nothing" for tensors in (wanted, fed[block.name]))
            raise BundleError("{} needs {}, but its side streams carry {}, or other shapes".format(block.name, *told))


def _carried(edge: EdgeSpec, order: Sequence[str], blocks: Sequence[BlockSpec]) -> set[TensorSpec]:
    """The tensors of a side stream under the names its target has for them."""
    between = f"the side stream from {edge.source} to {edge.target}"
    if HOST in (edge.source, edge.target):
        raise BundleError(f"{between} must run between blocks; what the host sends goes along the chain")
    unknown = sorted({edge.source, edge.target} - set(order))
    if unknown:
        raise BundleError(f"{between} names {unknown[0]!r}, but the blocks are {', '.join(order)}")
    behind = order.index(edge.source) >= order.index(edge.target)
    if edge.lag < int(behind):
        raise BundleError(f"{between} runs against the chain, so its lag must be at least 1, not {edge.lag}")
    sent = {tensor.name: tensor for tensor in blocks[order.index(edge.source)].sent}
    missing = sorted(set(edge.tensors) - set(sent))
    if missing or not edge.tensors:
        raise BundleError(
            f"{between} carries {missing[0] if missing else 'nothing'}; {edge.source} sends {', '.join(sent) or 'nothing'}"
        )
    return {replace(sent[name], name=received_name(edge.source, name)) for name in edge.tensors}
