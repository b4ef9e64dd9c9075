"""Element programs as expressions: what a kernel computes at each position of its grid, before registers are given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgebll.kernel.microcontroller.views import BufferRole, StridedView

#: What has no arguments: an element of a view, a number, and what the kernel accumulated before.
LOAD, NUMBER, ACCUMULATED = "load", "number", "accumulated"
#: Operators and how many arguments each takes.
ARITHMETIC = {
    **dict.fromkeys(("neg", "abs", "sqrt", "reciprocal", "exp", "log", "floor", "relu", "int8", "int16"), 1),
    **dict.fromkeys(("add", "sub", "mul", "div", "max", "min", "greater", "equal"), 2),
    "select": 3,
}
#: What costs a call or many instructions: never computed twice.
COSTLY = frozenset(("sqrt", "exp", "log", "div", "reciprocal", "floor"))


@dataclass(frozen=True, eq=False)
class Expression:
    """An operator and its arguments; shared parts are the same object.

    Attributes:
        operator: LOAD, NUMBER, ACCUMULATED or one of ARITHMETIC.
        arguments: of an operator of ARITHMETIC.
        view: of LOAD.
        number: of NUMBER, a float32.
    """

    operator: str
    arguments: tuple[Expression, ...] = ()
    view: StridedView | None = None
    number: float = 0.0


SUM = Expression(ACCUMULATED)


def number(value: float) -> Expression:
    """A constant."""
    return Expression(NUMBER, number=float(value))


def load(view: StridedView) -> Expression:
    """An element of a view; a number where all its elements are one constant."""
    content = view.buffer.content
    if view.buffer.role is BufferRole.CONSTANT and content is not None and view.size:
        held = content.reshape(-1)[view.addresses().reshape(-1)].astype(np.float32)
        if np.all(held.view(np.uint32) == held[:1].view(np.uint32)):
            return number(float(held[0]))
    return Expression(LOAD, view=view)


def parts(roots: Sequence[Expression]) -> Iterator[Expression]:
    """Every part of some expressions once, arguments before what takes them."""
    seen: set[int] = set()
    stack = [(root, False) for root in reversed(roots)]
    while stack:
        part, opened = stack.pop()
        if opened:
            yield part
        elif id(part) not in seen:
            seen.add(id(part))
            stack.append((part, True))
            stack.extend((argument, False) for argument in reversed(part.arguments))


def loaded(roots: Sequence[Expression]) -> list[StridedView]:
    """Views that expressions read, each once."""
    found = dict.fromkeys(part.view for part in parts(roots) if part.view is not None)
    return list(found)


def rewritten(roots: Sequence[Expression], change: Callable[[Expression], Expression | None]) -> list[Expression] | None:
    """Expressions with other leaves; what is shared stays shared.

    Args:
        roots: the expressions.
        change: a leaf -> what stands in its place, or None where there is nothing.

    Returns:
        The new expressions, or None where `change` gave none.
    """
    made: dict[int, Expression] = {}
    for part in parts(roots):
        if part.arguments:
            arguments = tuple(made[id(argument)] for argument in part.arguments)
            same = all(new is old for new, old in zip(arguments, part.arguments, strict=True))
            made[id(part)] = part if same else Expression(part.operator, arguments)
        else:
            leaf = change(part)
            if leaf is None:
                return None
            made[id(part)] = leaf
    return [made[id(root)] for root in roots]


def replaced(roots: Sequence[Expression], changes: Mapping[int, Expression]) -> list[Expression]:
    """Expressions with other parts, by the identity of the old ones."""
    made: dict[int, Expression] = {}
    for part in parts(roots):
        if id(part) in changes:
            made[id(part)] = changes[id(part)]
            continue
        arguments = tuple(made[id(argument)] for argument in part.arguments)
        same = all(one is other for one, other in zip(arguments, part.arguments, strict=True))
        made[id(part)] = part if same else Expression(part.operator, arguments)
    return [made[id(root)] for root in roots]
