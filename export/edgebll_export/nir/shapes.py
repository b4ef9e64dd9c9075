"""Which shape a node gives for the shape that it takes; NIR files leave many of them out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edgebll.kernel.errors import ExportError
from edgebll_export.nir.graph import GraphNode, Shape


def given_shape(node: GraphNode) -> Shape:
    """The shape that an Input states.

    Args:
        node: the Input.
    """
    return tuple(int(size) for size in np.atleast_1d(node.values["shape"]))


def output_shape(node: GraphNode, shape: Shape, place: str) -> Shape:
    """Shape of what a node gives in one time step of one sample.

    Args:
        node: the node.
        shape: of what it takes.
        place: the file, for messages.

    Raises:
        ExportError: the node cannot take this shape.
    """
    kind = node.kind
    if kind in ("Input", "Output"):
        _expect(given_shape(node) == shape, node, shape, given_shape(node), place)
        return shape
    if kind in ("Affine", "Linear"):
        return _matrix_shape(node, shape, place)
    if kind in ("Conv1d", "Conv2d"):
        return _conv_shape(node, shape, place)
    if kind in ("SumPool2d", "AvgPool2d"):
        _expect(len(shape) == 3, node, shape, "channels, height and width", place)
        return (shape[0], *_windows(node, shape[1:], axes_of(node, "kernel_size", 2), (1, 1), place))
    if kind == "Flatten":
        start, end = (axes_of(node, key, 1)[0] for key in ("start_dim", "end_dim"))
        fits = all(-len(shape) <= axis < len(shape) for axis in (start, end)) and start % len(shape) <= end % len(shape)
        _expect(fits, node, shape, f"values with axes {start} to {end}", place)
        start, end = start % len(shape), end % len(shape)
        return (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])
    return _elementwise_shape(node, shape, place)


def axes_of(node: GraphNode, key: str, axes: int) -> tuple[int, ...]:
    """A number for each axis, where the file has one for all or one for each.

    Args:
        node: whose it is.
        key: the parameter.
        axes: how many there are.
    """
    return tuple(int(size) for size in np.broadcast_to(np.ravel(node.values[key]), (axes,)))


def paddings(node: GraphNode, kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """Zeros before and after each axis of what a convolution or a pooling takes.

    Args:
        node: it.
        kernel: size of the window.
        dilation: distance between its taps.
    """
    padding = node.values["padding"]
    if isinstance(padding, str):
        whole = [(k - 1) * d if padding == "same" else 0 for k, d in zip(kernel, dilation, strict=True)]
        return tuple((size // 2, size - size // 2) for size in whole)
    return tuple((size, size) for size in axes_of(node, "padding", len(kernel)))


def _expect(fits: bool, node: GraphNode, shape: Shape, wanted: Any, place: str) -> None:
    if not fits:
        raise ExportError(f"{place}: {node} gets values of shape {shape_text(shape)}, but takes {shape_text(wanted)}")


def shape_text(shape: Any) -> str:
    """A shape as people write it, e.g. "2x34x34"; words as they are.

    Args:
        shape: it.
    """
    return ("x".join(map(str, shape)) or "one number") if isinstance(shape, tuple) else str(shape)


def _matrix_shape(node: GraphNode, shape: Shape, place: str) -> Shape:
    weight = node.values["weight"]
    if weight.ndim != 2:
        raise ExportError(f"{place}: weight of {node} has {weight.ndim} axes; a matrix (outputs, inputs) is taken")
    _expect(len(shape) >= 1 and shape[-1] == weight.shape[1], node, shape, (*shape[:-1], weight.shape[1]), place)
    bias = node.values.get("bias")
    if bias is not None and bias.shape != (weight.shape[0],):
        raise ExportError(
            f"{place}: bias of {node} has shape {shape_text(bias.shape)}; it must be {weight.shape[0]}, as the weight says"
        )
    return (*shape[:-1], weight.shape[0])


def _conv_shape(node: GraphNode, shape: Shape, place: str) -> Shape:
    axes = 1 if node.kind == "Conv1d" else 2
    weight, groups = node.values["weight"], axes_of(node, "groups", 1)[0]
    if weight.ndim != axes + 2:
        raise ExportError(f"{place}: weight of {node} has {weight.ndim} axes; (outputs, inputs, window) are {axes + 2}")
    channels = weight.shape[1] * groups
    _expect(len(shape) == axes + 1 and shape[0] == channels, node, shape, f"{channels} channels and {axes} more axes", place)
    if weight.shape[0] % groups or node.values["bias"].shape != (weight.shape[0],):
        raise ExportError(
            f"{place}: {node} has {weight.shape[0]} output channels in {groups} groups and a bias of shape "
            f"{shape_text(node.values['bias'].shape)}; they do not fit each other"
        )
    return (weight.shape[0], *_windows(node, shape[1:], weight.shape[2:], axes_of(node, "dilation", axes), place))


def _windows(node: GraphNode, sizes: Shape, kernel: tuple[int, ...], dilation: tuple[int, ...], place: str) -> Shape:
    stride = axes_of(node, "stride", len(kernel))
    pads = paddings(node, kernel, dilation)
    rows = zip(sizes, pads, kernel, dilation, stride, strict=True)
    found = tuple((size + sum(pad) - d * (k - 1) - 1) // s + 1 for size, pad, k, d, s in rows)
    _expect(min(found) >= 1, node, sizes, f"at least a window of {shape_text(tuple(kernel))}", place)
    return found


def _elementwise_shape(node: GraphNode, shape: Shape, place: str) -> Shape:
    for key in (*node.primitive.needed, *(key for key, _ in node.primitive.defaults)):
        value = np.asarray(node.values[key])
        # One number for all neurons is in use as (1,) beside the exact shape.
        fits = value.size == 1 or np.broadcast_shapes(value.shape, shape) == shape if _broadcasts(value.shape, shape) else False
        _expect(fits, node, shape, f"{shape_text(value.shape)} ({key})", place)
    return shape


def _broadcasts(one: Shape, other: Shape) -> bool:
    return all(a == b or 1 in (a, b) for a, b in zip(one[::-1], other[::-1], strict=False))
