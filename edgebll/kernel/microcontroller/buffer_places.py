"""Where views lie when a plan runs: a region, an offset there, and strides over the grid of the kernel that uses them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from edgebll.kernel.microcontroller.expressions import NUMBER, Expression
from edgebll.kernel.microcontroller.plan_parts import Operand, PlanDtype, Region
from edgebll.kernel.microcontroller.views import BufferRole, PlannedBuffer, StridedView
from edgebll.kernel.state.block_state import Array

PLAN_DTYPES = {
    "float32": PlanDtype.FLOAT32,
    "uint8": PlanDtype.UINT8,
    "bool": PlanDtype.UINT8,
    "int32": PlanDtype.INT32,
    "int64": PlanDtype.INT64,
    "int8": PlanDtype.INT8,
    "int16": PlanDtype.INT16,
}
_WORD = 4


@dataclass
class ConstantPool:
    """The constants of a plan, each once."""

    content: bytearray = field(default_factory=bytearray)
    places: dict[bytes, int] = field(default_factory=dict)

    def place(self, content: Array) -> int:
        """Byte offset of some numbers in the region of constants, a multiple of 4."""
        found = content.astype(content.dtype.newbyteorder("<")).tobytes()
        if found not in self.places:
            self.places[found] = len(self.content)
            self.content += found + bytes(-len(found) % _WORD)
        return self.places[found]


@dataclass(frozen=True)
class BufferPlaces:
    """Turns views into operands.

    Attributes:
        offsets: byte offset of each buffer in the arena or, of state tensors, in the state.
        constants: takes the constants.
    """

    offsets: Mapping[PlannedBuffer, int]
    constants: ConstantPool = field(default_factory=ConstantPool)

    def leaf(self, part: Expression, rank: int) -> Operand:
        """The operand of a number or of an element of a view, with a stride for each of `rank` axes; missing ones are 0."""
        if part.operator == NUMBER:
            place = self.constants.place(np.array([part.number], np.float32)) // _WORD
            return Operand(Region.CONSTANTS, place, (0,) * rank)
        assert part.view is not None  # noqa: S101  (what has no view is a number or a sum)
        return self.operand(part.view, part.view.strides, rank)

    def operand(self, view: StridedView, strides: Sequence[int], rank: int, *, kinds: Collection[str] = ()) -> Operand:
        """The operand of a view.

        Args:
            view: what is read or written.
            strides: over the first axes of the kernel's grid.
            rank: of the grid; strides of the other axes are 0.
            kinds: dtypes in which constants may stay; others become float32. Default: none.
        """
        buffer, padded = view.buffer, (*strides, *(0,) * (rank - len(strides)))
        if buffer.role is BufferRole.CONSTANT:
            assert buffer.content is not None  # noqa: S101  (constants have one)
            kind = buffer.dtype if buffer.dtype in kinds else "int32" if "int32" in kinds else "float32"
            start = self.constants.place(buffer.content.astype(kind)) // PLAN_DTYPES[kind].size
            return Operand(Region.CONSTANTS, start + view.offset, padded, PLAN_DTYPES[kind])
        dtype = PLAN_DTYPES[buffer.dtype]
        state = buffer if buffer.role is BufferRole.STATE else buffer.home
        region = Region.ARENA if state is None else Region.STATE
        return Operand(region, self.offsets[state or buffer] // dtype.size + view.offset, padded, dtype)
