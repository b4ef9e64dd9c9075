"""A step along a matrix product becomes part of the product: p - s (A B) is one Gemm, with s A for A. Changes the last bit.

    Sub(p, Mul(s, MatMul(A, B)))   ->   Gemm(Mul(s, A), B, p, alpha=-1)

which is the update of plain gradient descent: two passes over the weight instead of four.

Conditions: s has one element; nobody else reads the product or its multiple; the product has two axes and the shape of p and of
the difference, more elements than `fuse_updates` would take, and at least _TIMES as many as the factor that is scaled, the
smaller one; float32 or float64: in float16, s A may be too small a number where s (A B) is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import onnx
from onnx import helper

from edgebll_export.passes.fuse_updates import MAX_ELEMENTS
from edgebll_export.passes.value_names import Names, Nodes, attribute, made, only_reader, producers, uses

_TIMES = 4
_DTYPES = ("float32", "float64")


def scale_factors(nodes: Nodes, outputs: Sequence[str], names: Names) -> Nodes:
    """See the module."""
    makers, readers = producers(nodes), uses(nodes)
    result: Nodes = []
    for node in nodes:
        found = _step(node, makers, readers, names)
        result += [node] if found is None else _gemm(node, *found, names)
    return result


def _step(
    node: onnx.NodeProto, makers: dict[str, onnx.NodeProto], readers: dict[str, list[onnx.NodeProto]], names: Names
) -> tuple[str, onnx.NodeProto] | None:
    """The factor s and the product of a difference p - s (A B); None where the conditions do not hold."""
    if node.op_type != "Sub" or names.dtype_of(node.output[0]) not in _DTYPES:
        return None
    shape = names.shape_of(node.output[0])
    if names.shape_of(node.input[0]) != shape:
        return None
    scaled = only_reader(node.input[1], "Mul", makers, readers)
    if scaled is None:
        return None
    for factor, source in (scaled.input, list(scaled.input)[::-1]):
        product = only_reader(source, "MatMul", makers, readers) or only_reader(source, "Gemm", makers, readers)
        if (
            prod(names.shape_of(factor)) == 1
            and len(names.shape_of(factor)) <= 2
            and product is not None
            and names.shape_of(source) == shape
            and _fits(product, names)
        ):
            return factor, product
    return None


def _fits(product: onnx.NodeProto, names: Names) -> bool:
    shapes = [names.shape_of(name) for name in (*product.input, product.output[0])]
    if len(shapes) != 3 or any(len(shape) != 2 for shape in shapes) or attribute(product, "alpha", 1.0) != 1.0:
        return False
    elements, smaller = prod(shapes[-1]), min(map(prod, shapes[:2]))
    return smaller > 0 and elements > MAX_ELEMENTS and elements >= _TIMES * smaller


def _gemm(node: onnx.NodeProto, factor: str, product: onnx.NodeProto, names: Names) -> Nodes:
    sizes = [prod(names.shape_of(name)) for name in product.input]
    smaller = sizes.index(min(sizes))
    scaled = made(names, "Mul", [product.input[smaller], factor], names.shape_of(product.input[smaller]))
    inputs = list(product.input)
    inputs[smaller] = scaled.output[0]
    turned = {name: attribute(product, name, 0) for name in ("transA", "transB")}
    return [scaled, helper.make_node("Gemm", [*inputs, node.input[0]], list(node.output), alpha=-1.0, **turned)]
