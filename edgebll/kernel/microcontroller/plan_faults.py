"""What can be wrong with a plan: the numbers by which boards say it, and a sentence for each."""

from __future__ import annotations

from enum import IntEnum


class PlanFault(IntEnum):
    """Numbers by which boards name what is wrong with a plan."""

    SHORT = 1
    MAGIC = 2
    VERSION = 3
    CRC = 4
    LAYOUT = 5
    MEMORY = 6
    OPCODE = 7
    RANK = 8
    EXTENT = 9
    RANGE = 10
    SLOT = 11
    CONSTANT = 12
    OVERLAP = 13
    INT8 = 14


SENTENCES = {
    PlanFault.SHORT: "bytes are missing",
    PlanFault.MAGIC: "these bytes are no plan",
    PlanFault.VERSION: "the plan is of another version",
    PlanFault.CRC: "the plan is damaged",
    PlanFault.LAYOUT: "the parts of the plan do not fill it exactly",
    PlanFault.MEMORY: "the plan needs more memory than there is, or its memory is not aligned",
    PlanFault.OPCODE: "an opcode, flag, region, dtype or role is unknown",
    PlanFault.RANK: "the number of loops, operands or instructions does not suit the kernel",
    PlanFault.EXTENT: "an extent or stride is 0 where it must not be, or not 0 where it must, or the work is too much",
    PlanFault.RANGE: "an operand or port reaches outside its region",
    PlanFault.SLOT: "an instruction names a slot that is not there, not float32, or not yet written",
    PlanFault.CONSTANT: "a constant would be written",
    PlanFault.OVERLAP: "what is written overlaps what is read, or itself",
    PlanFault.INT8: "the plan has int8 or int16, and the board's runtime was built without them",
}


class PlanFaultError(Exception):
    """Carries the number of a fault out of the checks; `check_plan` makes a sentence of it.

    Args:
        fault: what is wrong.
    """

    def __init__(self, fault: PlanFault) -> None:
        super().__init__(SENTENCES[fault])
        self.fault = fault


def demand(holds: bool, fault: PlanFault) -> None:
    """Go on only where something holds.

    Args:
        holds: whether it does.
        fault: what is wrong where it does not.

    Raises:
        PlanFaultError: it does not hold.
    """
    if not holds:
        raise PlanFaultError(fault)
