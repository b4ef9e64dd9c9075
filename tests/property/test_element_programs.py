"""Random expressions as instructions: they give what the expressions say, also where results overwrite what is read."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebll.kernel.microcontroller.element_programs import OperandSlots, TooLargeError, compiled
from edgebll.kernel.microcontroller.expressions import ARITHMETIC, SUM, Expression, load
from edgebll.kernel.microcontroller.ordered_arithmetic import OPERATIONS
from edgebll.kernel.microcontroller.plan_parts import REGISTERS, Code
from edgebll.kernel.microcontroller.views import PlannedBuffer

_PLACES = 4
# All but int16: only storing rounds to that.
_NAMES = {"reciprocal": "RECIP", "int8": "TO_INT8"}
_CODES = {name: Code[_NAMES.get(name, name.upper())] for name in ARITHMETIC if name != "int16"}


def _random_expressions(random: Random) -> tuple[list[Expression], list[int]]:
    """Roots that share parts, and the operands (by number) that they are stored to, each once."""
    known = [SUM, *(load(PlannedBuffer(f"b{index}", ()).whole()) for index in range(_PLACES))]
    for _ in range(random.randint(1, 12)):
        name = random.choice(["add", "sub", "mul", "max", "neg", "select", "relu", "mul", "add", "sub"])
        known.append(Expression(name, tuple(random.choice(known[-7:]) for _ in range(ARITHMETIC[name]))))
    count = random.randint(1, 3)
    return [random.choice(known[-6:]) for _ in range(count)], random.sample(range(_PLACES), count)


def _value(expression: Expression, places: list[np.float32], total: np.float32) -> np.float32:
    if expression is SUM:
        return total
    if expression.view is not None:
        return places[int(expression.view.buffer.name[1:])]
    values = [np.asarray(_value(argument, places, total)) for argument in expression.arguments]
    return np.float32(OPERATIONS[_CODES[expression.operator]](*values))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 1 << 32))
def test_a_program_computes_its_expressions(seed: int) -> None:
    random = Random(seed)
    roots, targets = _random_expressions(random)
    places = [np.float32(random.randint(-3, 3)) for _ in range(_PLACES)]
    total = np.float32(random.randint(-3, 3))
    slots = OperandSlots()
    target_slots = [slots.slot(f"b{number}") for number in targets]
    program = compiled(roots, target_slots, lambda leaf: (leaf.view.buffer.name, True), slots, True)
    held = {REGISTERS + index: places[int(str(key)[1:])] for index, key in enumerate(slots.keys)} | {0: total}
    for one in program:
        held[one.d] = np.float32(OPERATIONS[one.code](*(np.asarray(held[slot]) for slot in one.sources)))
    expected = {number: _value(root, places, total) for root, number in zip(roots, targets, strict=True)}
    for index, key in enumerate(slots.keys):
        number = int(str(key)[1:])
        assert held[REGISTERS + index] == expected.get(number, places[number])


def test_an_update_takes_one_instruction_and_no_register() -> None:
    """w - lr * sum, stored where w is: MULSUB with the operand as source and destination."""
    w, rate = (load(PlannedBuffer(name, ()).whole()) for name in ("w", "rate"))
    slots = OperandSlots()
    target = slots.slot("w")
    program = compiled(
        [Expression("sub", (w, Expression("mul", (rate, SUM))))],
        [target],
        lambda leaf: (leaf.view.buffer.name, True),
        slots,
        True,
    )
    assert [(one.code, one.d, one.sources) for one in program] == [(Code.MULSUB, target, (slots.slot("rate"), 0, target))]


def test_more_operands_than_there_are_slots_are_told() -> None:
    total = SUM
    for index in range(17):
        total = Expression("add", (total, load(PlannedBuffer(f"b{index}", ()).whole())))
    with pytest.raises(TooLargeError):
        compiled([total], [0], lambda leaf: (leaf.view.buffer.name, True), OperandSlots(), True)
