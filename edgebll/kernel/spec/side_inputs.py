"""Side inputs: what a sample has besides x, such as readings beside an image, and which blocks read it.

A side input has a name. A block that reads it has it among what its step receives, under that name alone, where what blocks
send each other is named "block1.table"; its forward pass takes it too. It travels along the chain as labels do, in training and
evaluation, from the host to the last block that reads it: edges of the chain carry x, y, "readings" so far.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from edgebll.kernel.errors import BundleError

if TYPE_CHECKING:
    from edgebll.kernel.spec.edge_check import EdgeSpec
    from edgebll.kernel.spec.manifest import BlockSpec, TensorSpec

Tensor = TypeVar("Tensor")
#: What names of tensors that blocks send each other have, and those of side inputs have not.
_FROM_A_BLOCK = "."


def side_inputs(block: BlockSpec) -> tuple[TensorSpec, ...]:
    """What a block reads of a sample besides x, batch axis first, in the order of its module's arguments."""
    return tuple(tensor for tensor in block.received if _FROM_A_BLOCK not in tensor.name)


def carried_inputs(blocks: Sequence[BlockSpec]) -> tuple[TensorSpec, ...]:
    """The side inputs that come to the first of these blocks, for itself or for one after it.

    Args:
        blocks: the rest of a network, in order.

    Raises:
        BundleError: two blocks read one of them with other dtypes or shapes.
    """
    found: dict[str, TensorSpec] = {}
    for block in blocks:
        for tensor in side_inputs(block):
            if found.setdefault(tensor.name, tensor) != tensor:
                raise BundleError(
                    f"{block.name} reads {tensor.name!r} as {tensor.dtype}{list(tensor.shape)}, but a block before it as "
                    f"{found[tensor.name].dtype}{list(found[tensor.name].shape)}; export the bundle again"
                )
    return tuple(found.values())


def of_a_sample(blocks: Sequence[BlockSpec]) -> tuple[TensorSpec, ...]:
    """The side inputs of one sample, without the batch axis, of a network's blocks in order."""
    return tuple(replace(tensor, shape=tensor.shape[1:]) for tensor in carried_inputs(blocks))


def carrying(edges: Iterable[EdgeSpec], blocks: Sequence[BlockSpec]) -> tuple[EdgeSpec, ...]:
    """Edges of a rule, of which those of the chain carry what the blocks read of a sample besides x.

    Args:
        edges: as the rule gives them.
        blocks: of the whole network, in order.
    """
    names = {block.name: tuple(t.name for t in carried_inputs(blocks[i:])) for i, block in enumerate(blocks)}
    chain = (("x", "y"), ("a", "y"))
    return tuple(
        replace(edge, tensors=(*edge.tensors, *names.get(edge.target, ()))) if edge.tensors in chain else edge for edge in edges
    )


def chain_bytes(blocks: Sequence[BlockSpec]) -> int:
    """Bytes of a batch's token on the chain to the first of these blocks, the rest of a network in order."""
    first = blocks[0]
    return first.input.size_bytes + first.labels.size_bytes + sum(tensor.size_bytes for tensor in carried_inputs(blocks))


def read_by(block: BlockSpec, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Of side inputs by name those that a block reads."""
    return {tensor.name: values[tensor.name] for tensor in side_inputs(block)}
