"""A model for any batch size, from the same model made for two.

What depends on the batch in a graph of static shapes lies in its constants; all else must be equal in both graphs.

    whole numbers    a size that is reshaped or expanded to, an end of a slice: base + factor * batch. Of a Reshape it becomes
                     -1; elsewhere the graph computes it from the shape of its input.
    repeated parts   a constant that is as long as the batch along one axis, and the same for each sample: the graph tiles it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgebll.kernel.errors import ExportError

#: Batches to trace for: sizes that hardly any network has, so that a size that is equal by chance shows as one.
FIRST, SECOND = 37, 41
#: What the batch axis of inputs and outputs is called.
AXIS = "batch"
_ANY = -1
Array = np.ndarray[Any, Any]


class _Line(NamedTuple):
    """Whole numbers base + factor * batch."""

    base: Array
    factor: Array


class _Tile(NamedTuple):
    """A part of a constant, and how often it is repeated along each axis."""

    part: Array
    times: _Line


class _Given(NamedTuple):
    """A value that stands for a constant, and what makes it."""

    name: str
    constants: list[onnx.TensorProto]
    nodes: list[onnx.NodeProto]


def any_batch(first: onnx.ModelProto, second: onnx.ModelProto, x: str = "x") -> onnx.ModelProto:
    """The model for any batch size.

    Args:
        first: the model made for FIRST samples.
        second: the same made for SECOND.
        x: the input whose first axis is the batch.

    Raises:
        ExportError: something depends on the batch in another way.
    """
    name = first.graph.name
    _check_alike(first, second)
    depending = _lines(first, second)
    model = onnx.ModelProto()
    model.CopyFrom(first)
    graph = model.graph
    for value in [*graph.input, *graph.output]:
        size = value.type.tensor_type.shape.dim[0] if value.type.tensor_type.shape.dim else None
        if size is None or size.dim_value != FIRST:
            raise ExportError(f"{name}: {value.name!r} has no batch axis; merge it for a fixed batch")
        size.dim_param = AXIS
    _replace(graph, depending, x)
    return model


def _check_alike(first: onnx.ModelProto, second: onnx.ModelProto) -> None:
    """Refuse graphs that differ in more than the content of constants."""
    alike = len(first.graph.node) == len(second.graph.node) and all(
        one.SerializeToString(deterministic=True) == other.SerializeToString(deterministic=True)
        for one, other in zip(first.graph.node, second.graph.node, strict=True)
    )
    if not alike or [t.name for t in first.graph.initializer] != [t.name for t in second.graph.initializer]:
        raise _another_graph(first.graph.name)


def _another_graph(name: str) -> ExportError:
    return ExportError(f"{name} is another graph for another batch size; merge it for the batch you need, e.g. --batch 1")


def _lines(first: onnx.ModelProto, second: onnx.ModelProto) -> dict[str, _Line | _Tile]:
    """Constants that depend on the batch."""
    found: dict[str, _Line | _Tile] = {}
    for one, other in zip(first.graph.initializer, second.graph.initializer, strict=True):
        if one == other:
            continue
        depends = _line(*map(numpy_helper.to_array, (one, other))) or _tile(*map(numpy_helper.to_array, (one, other)))
        if depends is None:
            raise _another_graph(first.graph.name)
        found[one.name] = depends
    return found


def _line(a: Array, b: Array) -> _Line | None:
    """Whole numbers of both batches as a line."""
    alike = a.shape == b.shape and a.dtype == b.dtype == np.int64 and a.ndim <= 1
    if not alike or ((b - a) % (SECOND - FIRST)).any():
        return None
    factor = np.asarray((b - a) // (SECOND - FIRST))
    return _Line(np.asarray(a - factor * FIRST), factor)


def _tile(a: Array, b: Array) -> _Tile | None:
    """Constants of both batches as repetitions of one part."""
    axes = [axis for axis, (m, n) in enumerate(zip(a.shape, b.shape, strict=False)) if m != n]
    if a.ndim != b.ndim or a.dtype != b.dtype or len(axes) != 1 or a.shape[axes[0]] % FIRST:
        return None
    (axis,) = axes
    part = np.take(a, range(a.shape[axis] // FIRST), axis)
    once = [1] * a.ndim
    for whole, batch in ((a, FIRST), (b, SECOND)):
        if not np.array_equal(whole, np.tile(part, [*once[:axis], batch, *once[axis + 1 :]])):
            return None
    factor = np.zeros(a.ndim, np.int64)
    factor[axis] = 1
    return _Tile(part, _Line(1 - factor, factor))


def _replace(graph: onnx.GraphProto, depending: dict[str, _Line | _Tile], x: str) -> None:
    """Put what is computed in the place of constants that depend on the batch, and -1 where a Reshape takes it."""
    kept = [tensor for tensor in graph.initializer if tensor.name not in depending]
    nodes: list[onnx.NodeProto] = []
    made: set[str] = set()
    for node in graph.node:
        for position, name in enumerate(node.input):
            if name not in depending:
                continue
            size = depending[name]
            if isinstance(size, _Tile):
                given = _tiled(name, size, x)
            elif node.op_type == "Reshape" and position == 1 and _infers(size):
                given = _inferred(name, size)
            else:
                given = _computed(name, size, x)
            node.input[position] = given.name
            if given.name not in made:
                made.add(given.name)
                kept += given.constants
                nodes += given.nodes
        nodes.append(node)
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)


def _infers(size: _Line) -> bool:
    """Whether a shape leaves one size to be found, and that a plain multiple of the batch."""
    places = np.flatnonzero(size.factor)
    return (
        size.factor.ndim == 1
        and len(places) == 1
        and not size.base[places[0]]
        and bool((np.delete(size.base, places) > 0).all())
    )


def _inferred(name: str, size: _Line) -> _Given:
    made = f"{name}_any"
    return _Given(made, [_constant(made, np.where(size.factor != 0, _ANY, size.base))], [])


def _computed(name: str, size: _Line, x: str) -> _Given:
    """Base + factor * batch, with nodes of names of their own."""
    batch, part, made = f"{name}_batch", f"{name}_part", f"{name}_now"
    nodes = [helper.make_node("Shape", [x], [batch], start=0, end=1)]
    if not size.factor.ndim:
        nodes.append(helper.make_node("Squeeze", [batch], [f"{name}_size"]))
        batch = f"{name}_size"
    nodes.append(helper.make_node("Mul", [batch, f"{name}_factor"], [part]))
    nodes.append(helper.make_node("Add", [part, f"{name}_base"], [made]))
    return _Given(made, [_constant(f"{name}_base", size.base), _constant(f"{name}_factor", size.factor)], nodes)


def _tiled(name: str, tile: _Tile, x: str) -> _Given:
    times = _computed(f"{name}_times", tile.times, x)
    part, made = f"{name}_once", f"{name}_tiled"
    node = helper.make_node("Tile", [part, times.name], [made])
    return _Given(made, [*times.constants, numpy_helper.from_array(tile.part, part)], [*times.nodes, node])


def _constant(name: str, content: Array) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(content, np.int64), name)
