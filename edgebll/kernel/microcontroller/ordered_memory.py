"""The three regions that a plan works on, as numpy arrays, and element programs over views of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgebll.kernel.microcontroller.ordered_arithmetic import OPERATIONS, Floats, loaded_floats, stored_numbers
from edgebll.kernel.microcontroller.plan_parts import REGISTERS, Code, Instruction, Operand, PlanDtype, Region

_DTYPES: dict[PlanDtype, np.dtype[Any]] = {
    PlanDtype.FLOAT32: np.dtype("<f4"),
    PlanDtype.UINT8: np.dtype("u1"),
    PlanDtype.INT32: np.dtype("<i4"),
    PlanDtype.INT64: np.dtype("<i8"),
    PlanDtype.INT8: np.dtype("i1"),
    PlanDtype.INT16: np.dtype("<i2"),
}
Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Registers = dict[int, Floats]


class PlanMemory:
    """Arena, state and constants.

    Args:
        arena: its bytes, which element programs change.
        state: of the block; changed likewise.
        constants: of the plan.
    """

    def __init__(self, arena: Bytes, state: Bytes, constants: bytes) -> None:
        self._regions: Mapping[Region, Any] = {
            Region.ARENA: arena,
            Region.STATE: state,
            Region.CONSTANTS: np.frombuffer(constants, np.uint8),
        }

    def view(self, operand: Operand, extents: Sequence[int]) -> np.ndarray[Any, Any]:
        """An operand's elements as they are stored, one for each loop index; what is written to it is written to the region."""
        dtype = _DTYPES[operand.dtype]
        strides = tuple(stride * dtype.itemsize for stride in operand.strides)
        return np.ndarray(tuple(extents), dtype, self._regions[operand.region], operand.offset * dtype.itemsize, strides)

    def run(
        self, program: Sequence[Instruction], operands: Sequence[Operand], extents: Sequence[int], registers: Registers
    ) -> Registers:
        """Run an element program at all loop indices, one instruction after another.

        Args:
            program: the instructions.
            operands: of the kernel, with a stride for each of `extents`.
            extents: of the loops.
            registers: number -> its values; changed.
        """

        def view(slot: int) -> np.ndarray[Any, Any]:
            return self.view(operands[slot - REGISTERS], extents)

        def read(slot: int) -> Any:
            return registers[slot] if slot < REGISTERS else view(slot)

        for one in program:
            if one.code is Code.STORE:
                target = view(one.d)
                target[...] = stored_numbers(read(one.a), target.dtype)
                continue
            result = loaded_floats(read(one.a)) if one.code is Code.LOAD else OPERATIONS[one.code](*map(read, one.sources))
            if one.d < REGISTERS:
                registers[one.d] = np.array(np.broadcast_to(result, tuple(extents)), np.float32)
            else:
                view(one.d)[...] = result
        return registers
