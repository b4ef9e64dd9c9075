"""Where the tensors of a block lie in its state and in the arena, and how their elements are kept there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgebll.kernel.errors import BundleError
from edgebll.kernel.microcontroller.arena import ALIGNMENT
from edgebll.kernel.spec.manifest import BlockSpec, Manifest, TensorSpec
from edgebll.kernel.spec.short_state import SHORT_BITS, STATE_BITS, UNIT
from edgebll.kernel.state.block_state import Array, State

_WORD = 4


@dataclass(frozen=True)
class TensorPlace:
    """Where a tensor lies, contiguous and row-major.

    Attributes:
        tensor: its name, dtype and shape.
        offset: in bytes, from the start of the arena or, for a state tensor, of the state.
        kept_as: dtype of its elements there: the tensor's, or "int16" or "int8" of one that is whole multiples of a unit a row.
    """

    tensor: TensorSpec
    offset: int
    kept_as: str

    @property
    def size_bytes(self) -> int:
        """Bytes it takes there."""
        return self.tensor.size_bytes // np.dtype(self.tensor.dtype).itemsize * np.dtype(self.kept_as).itemsize

    def elements(self, region: Any) -> Array:
        """Its elements in a region as they are kept, as a view.

        Args:
            region: bytes, a bytearray, or an array of bytes.
        """
        return np.ndarray(self.tensor.shape, np.dtype(self.kept_as).newbyteorder("<"), region, self.offset)


@dataclass(frozen=True)
class StateLayout:
    """Where the tensors of a block's state lie in its region.

    Attributes:
        tensors: in the order of the manifest.
        size_bytes: of the region.
    """

    tensors: tuple[TensorPlace, ...]
    size_bytes: int

    def read(self, region: Any) -> dict[str, Array]:
        """All tensors by name, as copies.

        Args:
            region: its bytes.
        """
        found: dict[str, Array] = {
            place.tensor.name: np.array(place.elements(region), place.tensor.dtype) for place in self.tensors
        }
        for place in self._short():
            found[place.tensor.name] = _times(found[place.tensor.name], found[UNIT + place.tensor.name])
        return found

    def write(self, region: Any, state: State) -> None:
        """Put all tensors into a region.

        Args:
            region: its bytes, a bytearray or an array, which are changed.
            state: values by name; bytes of others stay as they are.

        Raises:
            BundleError: a number is no such multiple of its row's unit as the region holds. Nothing is changed then.
        """
        wholes = {place.tensor.name: _wholes(place, state) for place in self._short()}
        for place in self.tensors:
            place.elements(region)[...] = wholes.get(place.tensor.name, state[place.tensor.name])

    def _short(self) -> list[TensorPlace]:
        return [place for place in self.tensors if place.kept_as != place.tensor.dtype]


def _times(values: Any, units: Any) -> Array:
    """Rows times their units; both float32."""
    found: Array = values * units.reshape(-1, *(1,) * (values.ndim - 1))
    return found


def _wholes(place: TensorPlace, state: State) -> Array:
    """The integers of a tensor, after a look at whether they are some, so that nothing is lost."""
    value, units, limits = state[place.tensor.name], state[UNIT + place.tensor.name], np.iinfo(place.kept_as)
    with np.errstate(all="ignore"):
        quotient: Any = _times(value, np.reciprocal(units))
        exact = (quotient >= limits.min) & (quotient <= limits.max) & (quotient == np.floor(quotient))
        found: Array = np.where(exact, quotient, 0).astype(place.kept_as)
        back = _times(found.astype(np.float32), units)
    # Of two zeros integers have one.
    if not np.array_equal(back.view(np.uint32), np.ascontiguousarray(value).view(np.uint32)):
        raise BundleError(
            f"a state has numbers in {place.tensor.name!r} that are no {place.kept_as} multiples of the units in "
            f"{UNIT + place.tensor.name!r}; it is not of this bundle's steps: export it again with that state"
        )
    return found


def state_bits(manifest: Manifest) -> int:
    """Bits to which the steps of a bundle round weights and moments; 32 where they do not.

    Raises:
        BundleError: it says another number.
    """
    bits = manifest.optimizer.get(STATE_BITS, 32)
    if bits not in (32, *SHORT_BITS):
        raise BundleError(f"the optimizer of the bundle has {STATE_BITS} {bits!r}, which must be 32, 16 or 8; export it again")
    return int(bits)


def state_layout(spec: BlockSpec, bits: int = 32) -> StateLayout:
    """The layout of a block's state: one tensor behind the other, each where its elements may lie.

    Args:
        spec: of the block.
        bits: of an element of what has units.
    """
    names = {tensor.name for tensor in spec.state}
    places, at = [], 0
    for tensor in spec.state:
        kept_as = f"int{bits}" if bits < 32 and UNIT + tensor.name in names else tensor.dtype
        unit = max(_WORD, np.dtype(kept_as).itemsize)
        at = -(-at // unit) * unit
        places.append(TensorPlace(tensor, at, kept_as))
        at += places[-1].size_bytes
    return StateLayout(tuple(places), -(-at // ALIGNMENT) * ALIGNMENT)
