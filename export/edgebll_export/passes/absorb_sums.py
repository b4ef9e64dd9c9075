"""A sum of a matrix product and something else is one Gemm, and so is a constant multiple of that. Changes the last bit.

    Add(MatMul(A, B), Mul(C, c))   ->   Gemm(A, B, C, beta=c)          also without the Mul, and behind a Reshape of the product

which is the weight decay of a gradient, or its momentum where there is no decay: it takes no pass over the weight of its own.

Conditions: the product has two axes and no third operand, more elements than `fuse_updates` would take, and nobody else reads
it or its Reshape; C has the shape of the sum; c is a constant of one element; no integers, for which ONNX Runtime has no Gemm.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import onnx
from onnx import helper

from edgebll_export.passes.fuse_updates import MAX_ELEMENTS
from edgebll_export.passes.value_names import Names, Nodes, attribute, made, only_reader, producers, reshaped, uses

Makers = dict[str, onnx.NodeProto]
Readers = dict[str, list[onnx.NodeProto]]


def absorb_sums(nodes: Nodes, outputs: Sequence[str], names: Names) -> Nodes:
    """See the module."""
    makers, readers = producers(nodes), uses(nodes)
    result: Nodes = []
    for node in nodes:
        product = None
        for source, other in (list(node.input), list(node.input)[::-1]) if node.op_type == "Add" else ():
            product = product or _product(source, makers, readers, names)
            if product is not None and names.shape_of(other) == names.shape_of(node.output[0]) == names.shape_of(source):
                result += _gemm(node, product, *_scaled(other, makers, readers, names), names)
                break
            product = None
        else:
            result.append(node)
    return result


def _product(name: str, makers: Makers, readers: Readers, names: Names) -> onnx.NodeProto | None:
    """The product a value is, maybe reshaped."""
    source = only_reader(name, "Reshape", makers, readers)
    if source is not None:
        name = source.input[0]
    product = only_reader(name, "MatMul", makers, readers) or only_reader(name, "Gemm", makers, readers)
    if product is None or len(product.input) != 2:
        return None
    shapes = [names.shape_of(value) for value in (*product.input, product.output[0])]
    flat = all(len(shape) == 2 and 0 not in shape for shape in shapes) and "int" not in names.dtype_of(name)
    return product if flat and prod(shapes[-1]) > MAX_ELEMENTS else None


def _scaled(name: str, makers: Makers, readers: Readers, names: Names) -> tuple[str, float]:
    """A value as another one of its shape times a constant."""
    multiple = only_reader(name, "Mul", makers, readers)
    for source, factor in () if multiple is None else (multiple.input, list(multiple.input)[::-1]):
        content = names.content_of(factor)
        if content is not None and content.size == 1 and names.shape_of(source) == names.shape_of(name):
            return source, float(content.reshape(()))
    return name, 1.0


def _gemm(node: onnx.NodeProto, product: onnx.NodeProto, other: str, beta: float, names: Names) -> Nodes:
    shape, flat = names.shape_of(node.output[0]), names.shape_of(product.output[0])
    options = {name: attribute(product, name, default) for name, default in (("transA", 0), ("transB", 0), ("alpha", 1.0))}
    if shape == flat:
        return [helper.make_node("Gemm", [*product.input, other], list(node.output), beta=beta, **options)]
    matrix = reshaped(names, other, flat)
    total = made(names, "Gemm", [*product.input, matrix.output[0]], flat, beta=beta, **options)
    back = reshaped(names, total.output[0], shape)
    back.output[0] = node.output[0]
    return [matrix, total, back]
