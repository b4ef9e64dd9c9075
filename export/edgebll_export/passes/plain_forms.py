"""Operators that a compact target has not are written with those it has. Changes the last bits.

What costs an exponential or more is shared by the forward and the backward pass all the same, by `merge_equal` afterwards. The
error function is Hastings' polynomial (Abramowitz and Stegun, 7.1.26), 1.5e-7 off at most.

Condition: the target is compact, and the operator is in FORMS.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper

from edgebll_export.passes.value_names import Names, Nodes, attribute, with_inputs

_NO_FRACTION = 1.5 * 2.0**23
_ERF_SCALE = 0.3275911
_ERF = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)


class FormWriter:
    """Appends nodes; operands are names of values, or numbers of float32.

    Args:
        names: of all values of the graph.
        nodes: what is appended to.
    """

    def __init__(self, names: Names, nodes: Nodes) -> None:
        self.names = names
        self.nodes = nodes

    def put(self, operator: str, *operands: str | float, dtype: str | None = None, **attributes: Any) -> str:
        """An element-wise operator's result."""
        inputs = [self._name(operand) for operand in operands]
        shape = np.broadcast_shapes(*(self.names.shape_of(name) for name in inputs))
        return self.shaped(operator, inputs, shape, dtype, **attributes)

    def shaped(
        self, operator: str, inputs: Sequence[str], shape: Sequence[int], dtype: str | None = None, **attributes: Any
    ) -> str:
        """The result of any operator with one, by default of the first input's dtype."""
        name = self.names.declare(dtype or self.names.dtype_of(inputs[0]), shape)
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def _name(self, operand: str | float) -> str:
        return operand if isinstance(operand, str) else self.names.known(np.array(operand, np.float32))

    def above(self, x: str | float, y: str | float) -> str:
        """Where x > y."""
        return self.put("Greater", x, y, dtype="bool")

    def chosen(self, condition: str, x: str | float, y: str | float) -> str:
        """X where the condition holds, else y, one of them a name."""
        return self.put("Where", condition, x, y, dtype="float32")


Form = Callable[[FormWriter, onnx.NodeProto], str]


def plain_forms(nodes: Nodes, outputs: Sequence[str], names: Names) -> Nodes:
    """See the module."""
    renamed: dict[str, str] = {}
    result: Nodes = []
    for old in nodes:
        node = with_inputs(old, renamed)
        form = FORMS.get(node.op_type)
        if form is None or (node.op_type in _OF_TWO and len(node.input) == 2):
            result.append(node)
        else:
            renamed[old.output[0]] = form(FormWriter(names, result), node)
    return result


def _sigmoid(w: FormWriter, x: str) -> str:
    return w.put("Reciprocal", w.put("Add", w.put("Exp", w.put("Neg", x)), 1.0))


def _tanh(w: FormWriter, node: onnx.NodeProto) -> str:
    gate = _sigmoid(w, w.put("Mul", node.input[0], 2.0))
    return w.put("Sub", w.put("Mul", gate, 2.0), 1.0)


def _leaky_relu(w: FormWriter, node: onnx.NodeProto) -> str:
    (x,) = node.input
    return w.chosen(w.above(x, 0.0), x, w.put("Mul", x, attribute(node, "alpha", 0.01)))


def _elu(w: FormWriter, node: onnx.NodeProto) -> str:
    (x,) = node.input
    curved = w.put("Sub", w.put("Exp", w.put("Min", x, 0.0)), 1.0)
    return w.chosen(w.above(x, 0.0), x, w.put("Mul", curved, attribute(node, "alpha", 1.0)))


def _softplus(w: FormWriter, node: onnx.NodeProto) -> str:
    """max(x, 0) + log(1 + exp(-|x|)), which overflows for no x."""
    (x,) = node.input
    rest = w.put("Log", w.put("Add", w.put("Exp", w.put("Neg", w.put("Abs", x))), 1.0))
    return w.put("Add", w.put("Relu", x), rest)


def _hard_sigmoid(w: FormWriter, node: onnx.NodeProto) -> str:
    line = w.put("Add", w.put("Mul", node.input[0], attribute(node, "alpha", 0.2)), attribute(node, "beta", 0.5))
    return w.put("Max", w.put("Min", line, 1.0), 0.0)


def _clip(w: FormWriter, node: onnx.NodeProto) -> str:
    x, *bounds = map(str, node.input)
    for operator, bound in zip(("Max", "Min"), bounds, strict=False):
        x = w.put(operator, x, bound) if bound else x
    return x


def _erf(w: FormWriter, node: onnx.NodeProto) -> str:
    (x,) = node.input
    size = w.put("Abs", x)
    t = w.put("Reciprocal", w.put("Add", w.put("Mul", size, _ERF_SCALE), 1.0))
    polynomial = w.put("Mul", t, _ERF[0])
    for coefficient in _ERF[1:]:
        polynomial = w.put("Mul", w.put("Add", polynomial, coefficient), t)
    tail = w.put("Mul", polynomial, w.put("Exp", w.put("Neg", w.put("Mul", size, size))))
    found = w.put("Sub", 1.0, tail)
    return w.chosen(w.above(x, 0.0), found, w.put("Neg", found))


def _ceil(w: FormWriter, node: onnx.NodeProto) -> str:
    return w.put("Neg", w.put("Floor", w.put("Neg", node.input[0])))


def _sign(w: FormWriter, node: onnx.NodeProto) -> str:
    sides = [w.above(node.input[0], 0.0), w.above(0.0, node.input[0])]
    above, below = (w.put("Cast", side, dtype="float32", to=onnx.TensorProto.FLOAT) for side in sides)
    return w.put("Sub", above, below)


def _round(w: FormWriter, node: onnx.NodeProto) -> str:
    """To the even one of two whole numbers as near: below 2^22 a sum with 1.5 * 2^23 has no room for a fraction."""
    (x,) = node.input
    rounded = w.put("Sub", w.put("Add", x, _NO_FRACTION), _NO_FRACTION)
    return w.chosen(w.above(2.0**22, w.put("Abs", x)), rounded, x)


def _xor(w: FormWriter, node: onnx.NodeProto) -> str:
    return w.put("Not", w.put("Equal", *node.input, dtype="bool"))


def _is_nan(w: FormWriter, node: onnx.NodeProto) -> str:
    return w.put("Not", w.put("Equal", node.input[0], node.input[0], dtype="bool"))


def _less(w: FormWriter, node: onnx.NodeProto) -> str:
    return w.above(node.input[1], node.input[0])


def _at_least(w: FormWriter, x: str, y: str) -> str:
    """X >= y; never of NaN."""
    return w.put("Or", w.above(x, y), w.put("Equal", x, y, dtype="bool"))


def _softmax(w: FormWriter, node: onnx.NodeProto) -> str:
    (x,) = node.input
    logarithm = w.shaped("LogSoftmax", [x], w.names.shape_of(x), axis=attribute(node, "axis", -1))
    return w.put("Exp", logarithm)


def _reduce_min(w: FormWriter, node: onnx.NodeProto) -> str:
    options = {name: attribute(node, name) for name in ("axes", "keepdims") if attribute(node, name) is not None}
    most = w.shaped("ReduceMax", [w.put("Neg", node.input[0])], w.names.shape_of(node.output[0]), **options)
    return w.put("Neg", most)


def _in_pairs(w: FormWriter, node: onnx.NodeProto) -> str:
    first, *others = map(str, node.input)
    for other in others:
        first = w.put(node.op_type, first, other)
    return first


#: Operators that take any number of operands in ONNX, and two here.
_OF_TWO = ("Max", "Min")
FORMS: dict[str, Form] = {
    "Ceil": _ceil,
    "Clip": _clip,
    "Elu": _elu,
    "Erf": _erf,
    "GreaterOrEqual": lambda w, node: _at_least(w, node.input[0], node.input[1]),
    "HardSigmoid": _hard_sigmoid,
    "IsNaN": _is_nan,
    "LeakyRelu": _leaky_relu,
    "Less": _less,
    "LessOrEqual": lambda w, node: _at_least(w, node.input[1], node.input[0]),
    "Max": _in_pairs,
    "Min": _in_pairs,
    "ReduceMin": _reduce_min,
    "Round": _round,
    "Sigmoid": lambda w, node: _sigmoid(w, node.input[0]),
    "Sign": _sign,
    "Softmax": _softmax,
    "Softplus": _softplus,
    "Tanh": _tanh,
    "Xor": _xor,
}
