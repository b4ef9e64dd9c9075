"""Where the tensors of a block lie in its state and in the arena."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebll.kernel.microcontroller.arena import ALIGNMENT
from edgebll.kernel.spec.manifest import BlockSpec, TensorSpec

_WORD = 4


@dataclass(frozen=True)
class TensorPlace:
    """Where a tensor lies, contiguous and row-major.

    Attributes:
        tensor: its name, dtype and shape.
        offset: in bytes, from the start of the arena or, for a state tensor, of the state.
    """

    tensor: TensorSpec
    offset: int


@dataclass(frozen=True)
class StateLayout:
    """Where the tensors of a block's state lie in its region.

    Attributes:
        tensors: in the order of the manifest.
        size_bytes: of the region.
    """

    tensors: tuple[TensorPlace, ...]
    size_bytes: int


def state_layout(spec: BlockSpec) -> StateLayout:
    """The layout of a block's state: one tensor behind the other, each where its elements may lie."""
    places, at = [], 0
    for tensor in spec.state:
        unit = max(_WORD, np.dtype(tensor.dtype).itemsize)
        at = -(-at // unit) * unit
        places.append(TensorPlace(tensor, at))
        at += tensor.size_bytes
    return StateLayout(tuple(places), -(-at // ALIGNMENT) * ALIGNMENT)
