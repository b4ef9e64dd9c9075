"""Transposes of transposes become one, those that move nothing go, and the others move as few axes as they can. Bit-identical.

A transpose that only moves axes of size 1 is a Reshape. Where axes of size 1 or axes that stay together make the rank higher
than it need be, a Transpose of lower rank between two Reshapes is taken: ONNX Runtime has fast paths for few axes only (for
(8, 128, 1, 16, 16) to (128, 8, 16, 16, 1) it takes 1.0 ms instead of 0.05).

Condition of the last form: at least _LARGE elements, so that it pays for its Reshapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import onnx

from edgebll_export.passes.value_names import Names, Nodes, attribute, made, reshaped, with_inputs

_LARGE = 4096


def merge_transposes(nodes: Nodes, outputs: Sequence[str], names: Names) -> Nodes:
    """See the module."""
    origins: dict[str, tuple[str, tuple[int, ...]]] = {}  # transposed value -> source and order
    renamed: dict[str, str] = {}
    result = []
    for old in nodes:
        node = with_inputs(old, renamed)
        if node.op_type != "Transpose":
            result.append(node)
            continue
        rank = len(names.shape_of(node.output[0]))
        order = tuple(attribute(node, "perm", range(rank)[::-1]))
        source, before = origins.get(node.input[0], (node.input[0], tuple(range(rank))))
        order = tuple(before[axis] for axis in order)
        moved = _moved(source, order, names)
        result += moved
        renamed[old.output[0]] = moved[-1].output[0] if moved else source
        origins[renamed[old.output[0]]] = (source, order)
    return result


def _moved(source: str, order: tuple[int, ...], names: Names) -> list[onnx.NodeProto]:
    """The nodes that transpose a value; none where nothing moves."""
    if order == tuple(range(len(order))):
        return []
    shape = names.shape_of(source)
    target = [shape[axis] for axis in order]
    long = [axis for axis in order if shape[axis] != 1]
    if long == sorted(long) and 0 not in shape:
        return [reshaped(names, source, target)]
    groups = _together(long)
    if len(groups) == len(order) or prod(shape) < _LARGE:
        return [made(names, "Transpose", [source], target, perm=list(order))]
    first = sorted(groups)
    short = [prod(shape[axis] for axis in group) for group in first]
    perm = [first.index(group) for group in groups]
    squeezed = reshaped(names, source, short)
    turned = made(names, "Transpose", [squeezed.output[0]], [short[axis] for axis in perm], perm=perm)
    return [squeezed, turned, reshaped(names, turned.output[0], target)]


def _together(order: list[int]) -> list[tuple[int, ...]]:
    """Runs of axes that stay together, leaving out the axes that are not in `order`."""
    following = dict(pairwise(sorted(order)))
    groups = [[order[0]]]
    for before, axis in pairwise(order):
        if following.get(before) == axis:
            groups[-1].append(axis)
        else:
            groups.append([axis])
    return [tuple(group) for group in groups]
