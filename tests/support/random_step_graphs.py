"""Random training-step-like graphs of whole numbers: every result is exact, so nothing but equality is right.

They hold views of views, copies, products, convolutions, reductions, and states whose next value is anything of their shape: a
result, a view, another state.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgebll.kernel.spec.manifest import NEXT

#: Results stay small, so that float32 holds all sums of products of them exactly.
_BOUND = 4.0
_SHAPES = [(2, 3), (4, 3), (3, 4), (2, 2, 3), (6,), (1, 2, 4, 4), (12,), (1, 3, 4), (4, 1), (1, 3)]


class StepGraph:
    """Nodes, and the shape of every value."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.shapes: dict[str, tuple[int, ...]] = {"x": random.choice(_SHAPES)}
        for index in range(random.randint(1, 3)):
            self.shapes[f"s{index}"] = random.choice(_SHAPES)
        self.inputs = list(self.shapes)

    def add(self, operator: str, names: list[str], shape: tuple[int, ...], **attributes: Any) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, names, [name], **attributes))
        self.shapes[name] = shape
        return name

    def constant(self, value: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def numbers(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def pick(self, axes: int = 0) -> str:
        """Any value of that many axes, or of at least one; the newest ones most often."""
        fitting = [name for name, shape in self.shapes.items() if (len(shape) == axes if axes else shape)]
        if not fitting:
            made = (2,) * axes
            return self.add("Expand", [self.constant(np.ones((1,) * axes, np.float32)), self.numbers(*made)], made)
        return self.random.choice(fitting[-6:])

    def bounded(self, name: str) -> str:
        """The value between -4 and 4; what it was before is taken by nothing else."""
        low, high = (self.constant(np.array(bound, np.float32)) for bound in (-_BOUND, _BOUND))
        shape = self.shapes.pop(name)
        above = self.add("Max", [name, low], shape)
        del self.shapes[above]
        return self.add("Min", [above, high], shape)


def _binary(g: StepGraph) -> None:
    a = g.pick()
    shape = g.shapes[a]
    same = [name for name, other in g.shapes.items() if other == shape]
    kept = tuple(1 if g.random.random() < 0.5 else size for size in shape)
    numbers = [name for name, other in g.shapes.items() if not other]
    b = g.random.choice([*same, *numbers[:2], g.constant(np.full(kept, 2.0, np.float32))])
    operator = g.random.choice(["Add", "Sub", "Mul", "Max", "Min"])
    g.bounded(g.add(operator, g.random.sample([a, b], 2), shape))


def _unary(g: StepGraph) -> None:
    a = g.pick()
    g.add(g.random.choice(["Neg", "Abs", "Relu", "Floor"]), [a], g.shapes[a])


def _choice(g: StepGraph) -> None:
    a = g.pick()
    shape = g.shapes[a]
    b = g.random.choice([name for name, other in g.shapes.items() if other == shape])
    g.nodes.append(helper.make_node("Greater", [a, b], [f"t{len(g.nodes)}"]))
    g.add("Where", [g.nodes[-1].output[0], b, a], shape)


def _transpose(g: StepGraph) -> None:
    a = g.pick()
    order = g.random.sample(range(len(g.shapes[a])), len(g.shapes[a]))
    g.add("Transpose", [a], tuple(g.shapes[a][axis] for axis in order), perm=order)


def _reshape(g: StepGraph) -> None:
    a = g.pick()
    size = int(np.prod(g.shapes[a]))
    shape = g.random.choice([shape for shape in [*_SHAPES, (size,), (1, size)] if np.prod(shape) == size])
    g.add("Reshape", [a, g.numbers(*shape)], tuple(shape))


def _slice(g: StepGraph) -> None:
    a = g.pick()
    axis = g.random.randrange(len(g.shapes[a]))
    size, step = g.shapes[a][axis], g.random.choice([1, 1, 2])
    start = g.random.randrange(size)
    shape = (*g.shapes[a][:axis], len(range(start, size, step)), *g.shapes[a][axis + 1 :])
    g.add("Slice", [a, g.numbers(start), g.numbers(1 << 40), g.numbers(axis), g.numbers(step)], shape)


def _concat(g: StepGraph) -> None:
    a = g.pick()
    axis = g.random.randrange(len(g.shapes[a]))
    shape = (*g.shapes[a][:axis], 2 * g.shapes[a][axis], *g.shapes[a][axis + 1 :])
    if np.prod(shape) <= 200:
        g.add("Concat", [a, g.random.choice([n for n, s in g.shapes.items() if s == g.shapes[a]])], shape, axis=axis)


def _pad(g: StepGraph) -> None:
    a = g.pick()
    pads = [g.random.randrange(2) for _ in range(2 * len(g.shapes[a]))]
    shape = tuple(n + f + b for n, f, b in zip(g.shapes[a], pads, pads[len(g.shapes[a]) :], strict=False))
    if np.prod(shape) <= 200:
        g.add("Pad", [a, g.numbers(*pads)], shape)


def _reduce(g: StepGraph) -> None:
    a = g.pick()
    rank = len(g.shapes[a])
    axes, kept = sorted(g.random.sample(range(rank), g.random.randint(1, rank))), g.random.randrange(2)
    shape = tuple(1 if axis in axes else n for axis, n in enumerate(g.shapes[a]) if kept or axis not in axes)
    if g.random.random() < 0.5:
        made = g.add("ReduceSum", [a, g.numbers(*axes)], shape, keepdims=kept)
    else:
        made = g.add("ReduceMax", [a], shape, axes=axes, keepdims=kept)
    g.bounded(made)


def _product(g: StepGraph) -> None:
    a, b = g.pick(2), g.pick(2)
    rows, columns = g.shapes[a], g.shapes[b]
    flips = [(i, j) for i in (0, 1) for j in (0, 1) if rows[1 - i] == columns[j]]
    if flips:
        i, j = g.random.choice(flips)
        g.bounded(g.add("Gemm", [a, b], (rows[i], columns[1 - j]), transA=i, transB=j))


def _convolve(g: StepGraph) -> None:
    a = g.pick(4)
    batch, channels, *space = g.shapes[a]
    kernel = g.constant(np.array(g.random.choices((-1, 0, 1), k=2 * channels * 4), np.float32).reshape(2, channels, 2, 2))
    if min(space) >= 2:
        g.bounded(g.add("Conv", [a, kernel], (batch, 2, space[0], space[1]), kernel_shape=[2, 2], pads=[1, 0, 0, 1]))


_MAKERS: list[Callable[[StepGraph], None]] = [
    *(_binary, _binary, _unary, _choice, _transpose, _reshape, _slice, _concat, _pad, _reduce, _product, _product, _convolve)
]


def random_step_graph(random: Random, nodes: int = 12) -> onnx.ModelProto:
    """A checked model with x, states s0..., a and, sometimes, something that is sent."""
    g = StepGraph(random)
    for _ in range(random.randint(2, nodes)):
        random.choice(_MAKERS)(g)
    outputs = {"a": g.pick()}
    if random.random() < 0.5:
        outputs["told"] = g.pick()
    for name in g.inputs[1:]:
        fitting = [other for other, shape in g.shapes.items() if shape == g.shapes[name]]
        outputs[name + NEXT] = random.choice(fitting[-4:])
    g.nodes += [helper.make_node("Identity", [value], [name]) for name, value in outputs.items()]
    g.shapes |= {name: g.shapes[value] for name, value in outputs.items()}
    infos = [[_info(name, g.shapes[name]) for name in names] for names in (g.inputs, outputs)]
    graph = helper.make_graph(g.nodes, "step", infos[0], infos[1], g.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def _info(name: str, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def whole_numbers(model: onnx.ModelProto, seed: int) -> dict[str, np.ndarray]:
    """Inputs of -2 to 2."""
    draw = np.random.default_rng(seed)
    shapes = {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in model.graph.input}
    return {name: draw.integers(-2, 3, shape).astype(np.float32) for name, shape in shapes.items()}
