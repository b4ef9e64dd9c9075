"""Expressions as instructions: which register holds what, and which result goes straight to where it is stored.

Equal parts are computed once. A result is written to its operand as soon as nothing later reads what lay there before; until
then it stays in a register.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, field

from edgebll.kernel.microcontroller.expressions import ACCUMULATED, Expression, parts
from edgebll.kernel.microcontroller.plan_parts import MAX_INSTRUCTIONS, MAX_OPERANDS, REGISTERS, Code, Instruction, operand_slot

_CODES = {
    "add": Code.ADD,
    "sub": Code.SUB,
    "mul": Code.MUL,
    "div": Code.DIV,
    "max": Code.MAX,
    "min": Code.MIN,
    "greater": Code.GREATER,
    "equal": Code.EQUAL,
    "neg": Code.NEG,
    "abs": Code.ABS,
    "floor": Code.FLOOR,
    "sqrt": Code.SQRT,
    "reciprocal": Code.RECIP,
    "exp": Code.EXP,
    "log": Code.LOG,
    "relu": Code.RELU,
    "select": Code.SELECT,
    "int8": Code.TO_INT8,
}
#: A leaf that is no sum -> what tells its operand from others, and whether it is float32.
Leaf = Callable[[Expression], tuple[Hashable, bool]]


class TooLargeError(Exception):
    """A program has more operands, registers or instructions than there are."""


@dataclass
class OperandSlots:
    """Operands of one kernel, each once, in the order in which they were first asked for."""

    keys: list[Hashable] = field(default_factory=list)

    def slot(self, key: Hashable) -> int:
        """The slot of an operand.

        Raises:
            TooLargeError: there are too many.
        """
        if key not in self.keys:
            self.keys.append(key)
        if len(self.keys) > MAX_OPERANDS:
            raise TooLargeError
        return operand_slot(self.keys.index(key))


@dataclass(frozen=True)
class _Value:
    """One thing that is computed: a code and the numbers of the values it takes; a leaf has a slot instead."""

    code: Code | None
    arguments: tuple[int, ...] = ()
    slot: int = -1
    floats: bool = True


class _Numbering:
    """Values without repetition."""

    def __init__(self, roots: Sequence[Expression], leaf: Leaf, slots: OperandSlots) -> None:
        self.values: list[_Value] = []
        self._numbers: dict[_Value, int] = {}
        of: dict[int, int] = {}
        for part in parts(roots):
            if part.operator not in _CODES and part.arguments:  # int16, which only storing rounds to
                raise TooLargeError
            if part.arguments:
                value = _Value(_CODES[part.operator], tuple(of[id(argument)] for argument in part.arguments))
            elif part.operator == ACCUMULATED:
                value = _Value(None, slot=0)
            else:
                key, floats = leaf(part)
                value = _Value(None, slot=slots.slot(key), floats=floats)
            of[id(part)] = self._number(value)
        self.roots = [of[id(root)] for root in roots]

    def _number(self, value: _Value) -> int:
        if value not in self._numbers:
            self._numbers[value] = len(self.values)
            self.values.append(value)
        return self._numbers[value]


def compiled(
    roots: Sequence[Expression],
    targets: Sequence[int],
    leaf: Leaf,
    slots: OperandSlots,
    accumulates: bool,
    integers: Collection[int] = (),
) -> tuple[Instruction, ...]:
    """Instructions that leave each root in its target.

    Args:
        roots: what is computed.
        targets: a slot for each: an operand, or register 0.
        leaf: see Leaf.
        slots: takes the operands.
        accumulates: whether register 0 holds a sum at the start.
        integers: targets that are not float32. Default: none.

    Raises:
        TooLargeError: it takes more than there is.
    """
    return _Compiler(_Numbering(roots, leaf, slots), targets, accumulates, integers).run()


class _Compiler:
    def __init__(self, numbering: _Numbering, targets: Sequence[int], accumulates: bool, integers: Collection[int]) -> None:
        self._integers = integers
        self._values, self._roots, self._targets = numbering.values, numbering.roots, list(targets)
        self._program: list[Instruction] = []
        self._uses = [0] * len(self._values)
        self._slot_reads: dict[int, int] = defaultdict(int)
        for value in self._values:
            for argument in value.arguments:
                self._uses[argument] += 1
                if self._values[argument].code is None:
                    self._slot_reads[self._values[argument].slot] += 1
        for root in self._roots:
            self._uses[root] += 1
        self._place = {number: value.slot for number, value in enumerate(self._values) if value.code is None and value.floats}
        held = accumulates and any(value.slot == 0 for value in self._values)
        self._free = list(range(REGISTERS - 1, 0 if held else -1, -1))
        self._folded = self._products_to_fold()
        # Operands that are stored elsewhere as they are: nothing may be written to them before.
        self._moved_from = {self._values[root].slot for root in self._roots if self._values[root].code is None}

    def _products_to_fold(self) -> set[int]:
        """Products that are only added to something, or subtracted from it."""
        found: set[int] = set()
        for value in self._values:
            for argument in self._foldable(value):
                if self._values[argument].code is Code.MUL and self._uses[argument] == 1 and not found & set(value.arguments):
                    found.add(argument)
        return found

    @staticmethod
    def _foldable(value: _Value) -> tuple[int, ...]:
        if value.code is Code.ADD:
            return value.arguments
        return value.arguments[1:] if value.code is Code.SUB else ()

    def run(self) -> tuple[Instruction, ...]:
        for number, value in enumerate(self._values):
            if value.code is not None and number not in self._folded:
                self._compute(number, value, value.code)
        self._keep_what_is_overwritten()
        for root, target in zip(self._roots, self._targets, strict=True):
            if self._place.get(root) != target:
                self._move(root, target)
        if len(self._program) > MAX_INSTRUCTIONS:
            raise TooLargeError
        return tuple(self._program)

    def _keep_what_is_overwritten(self) -> None:
        """Operands that are stored elsewhere as they are, and written too, go into registers first."""
        for root in self._roots:
            value = self._values[root]
            if value.code is None and self._place.get(root, 0) >= REGISTERS and value.slot in self._targets:
                register = self._take()
                self._program.append(Instruction(Code.MOVE, register, value.slot))
                self._place[root] = register

    def _move(self, root: int, target: int) -> None:
        if target in self._integers:
            self._program.append(Instruction(Code.STORE, target, self._source(root)))
        elif root not in self._place:
            self._program.append(Instruction(Code.LOAD, target, self._values[root].slot))
        else:
            self._program.append(Instruction(Code.MOVE, target, self._place[root]))

    def _compute(self, number: int, value: _Value, code: Code) -> None:
        folded = [argument for argument in value.arguments if argument in self._folded]
        if folded:
            product = self._values[folded[0]]
            other = value.arguments[1 - value.arguments.index(folded[0])]
            code, taken = (Code.MULADD if code is Code.ADD else Code.MULSUB), (*product.arguments, other)
        else:
            taken = value.arguments
        sources = [self._source(argument) for argument in taken]
        for argument in taken:
            self._release(argument)
        target = self._target(number)
        self._program.append(Instruction(code, target, *sources))
        self._place[number] = target

    def _source(self, number: int) -> int:
        if number not in self._place:  # an operand that is not float32
            register = self._take()
            self._program.append(Instruction(Code.LOAD, register, self._values[number].slot))
            self._place[number] = register
        return self._place[number]

    def _release(self, number: int) -> None:
        """One use less of a value; its register is free after the last."""
        self._uses[number] -= 1
        value, place = self._values[number], self._place[number]
        if value.code is None:
            self._slot_reads[value.slot] -= 1
        if not self._uses[number] and place < REGISTERS:
            self._free.append(place)

    def _target(self, number: int) -> int:
        """Where a result goes: straight to its operand if nothing reads the old content any more, else into a register."""
        for root, target in zip(self._roots, self._targets, strict=True):
            if root != number or self._slot_reads[target] or target in self._moved_from or target in self._integers:
                continue
            if target >= REGISTERS:
                return target
            if target in self._free:
                self._free.remove(target)
                return target
        return self._take()

    def _take(self) -> int:
        if not self._free:
            raise TooLargeError
        return self._free.pop()
