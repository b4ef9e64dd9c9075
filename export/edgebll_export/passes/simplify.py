"""Arithmetic that does nothing goes: x * 1, x / 1, x + 0, x - 0, -(-x), a + (-b). Bit-identical, but for the sign of zeros.

Condition: the result has the shape and dtype of what stays.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from onnx import helper

from edgebll_export.passes.value_names import Names, Nodes, producers, with_inputs

#: operator -> the number that does nothing, and whether it may stand on the left as well
_NEUTRAL = {"Mul": (1.0, True), "Div": (1.0, False), "Add": (0.0, True), "Sub": (0.0, False)}


def simplify(nodes: Nodes, outputs: Sequence[str], names: Names) -> Nodes:
    """See the module."""
    makers: dict[str, onnx.NodeProto] = {}  # of what is left only: a node seen before may read a value that went since
    renamed: dict[str, str] = {}
    result: Nodes = []
    for old in nodes:
        node = with_inputs(old, renamed)
        kept = _kept(node, names) or _twice_negative(node, makers)
        if kept is not None and _alike(kept, node.output[0], names):
            renamed[node.output[0]] = kept
            continue
        result.append(_difference(node, makers) or node)
        makers.update(producers(result[-1:]))
    return result


def _alike(one: str, other: str, names: Names) -> bool:
    return names.shape_of(one) == names.shape_of(other) and names.dtype_of(one) == names.dtype_of(other)


def _kept(node: onnx.NodeProto, names: Names) -> str | None:
    """The operand that an operator with a neutral one leaves as it is."""
    if node.op_type not in _NEUTRAL:
        return None
    number, either = _NEUTRAL[node.op_type]
    left, right = node.input
    if _is_all(right, number, names):
        return str(left)
    return str(right) if either and _is_all(left, number, names) else None


def _is_all(name: str, number: float, names: Names) -> bool:
    content = names.content_of(name)
    return content is not None and content.size > 0 and bool((content == number).all())


def _negated(name: str, makers: dict[str, onnx.NodeProto]) -> str | None:
    maker = makers.get(name)
    return str(maker.input[0]) if maker is not None and maker.op_type == "Neg" else None


def _twice_negative(node: onnx.NodeProto, makers: dict[str, onnx.NodeProto]) -> str | None:
    return _negated(node.input[0], makers) if node.op_type == "Neg" else None


def _difference(node: onnx.NodeProto, makers: dict[str, onnx.NodeProto]) -> onnx.NodeProto | None:
    """A + (-b) as a - b, and a - (-b) as a + b."""
    opposite = {"Add": "Sub", "Sub": "Add"}.get(node.op_type)
    negated = _negated(node.input[1], makers) if opposite else None
    if opposite is None or negated is None:
        return None
    return helper.make_node(opposite, [node.input[0], negated], list(node.output))
