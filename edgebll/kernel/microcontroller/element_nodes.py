"""Operators that compute each element by itself. Truth values are the numbers 0.0 and 1.0."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgebll.kernel.bundle.onnx_file import Node
from edgebll.kernel.errors import BundleError
from edgebll.kernel.microcontroller.expressions import Expression, number
from edgebll.kernel.microcontroller.translation import Translation, translates

_DIRECT = {
    "Add": "add",
    "Sub": "sub",
    "Mul": "mul",
    "Div": "div",
    "Max": "max",
    "Min": "min",
    "Neg": "neg",
    "Abs": "abs",
    "Sqrt": "sqrt",
    "Reciprocal": "reciprocal",
    "Exp": "exp",
    "Log": "log",
    "Floor": "floor",
    "Relu": "relu",
    "Greater": "greater",
    "Equal": "equal",
    "Where": "select",
    "And": "mul",
    "Or": "max",
}


def _elements(t: Translation, node: Node, build: Callable[[list[Expression]], Expression]) -> None:
    shape = np.broadcast_shapes(*(t.shape(name) for name in node.inputs))
    expression = build([t.value(name, shape) for name in node.inputs])
    t.values[node.outputs[0]] = t.computed(node.outputs[0], shape, expression)


@translates(*_DIRECT)
def _direct(t: Translation, node: Node) -> None:
    operator = _DIRECT[node.operator]
    _elements(t, node, lambda operands: Expression(operator, tuple(operands)))


@translates("Not")
def _not(t: Translation, node: Node) -> None:
    _elements(t, node, lambda operands: Expression("sub", (number(1.0), operands[0])))


@translates("Cast")
def _cast(t: Translation, node: Node) -> None:
    """Numbers become floats when they are loaded, so a cast is the same view; those cast to integers are whole."""
    view, to = t.view(node.inputs[0]), node.attributes.get("to")
    floats, integers = to == 1, to in (6, 7)
    if not floats and not (integers and view.buffer.dtype in ("float32", "int32", "int64")):
        raise BundleError(f"it converts {view.buffer.dtype} to the ONNX type {to}")
    t.values[node.outputs[0]] = view
