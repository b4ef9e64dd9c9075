"""Passes over random graphs: the same results, for floats and integers, broadcast operands, axes of size 0 and 1."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.graphs import run_model

from edgebll_export.bundles.block_models import check_model
from edgebll_export.graph import builder as graph_module
from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.passes import PASSES, run_passes

SHAPES = [(), (1,), (2, 96, 96), (96, 96), (96, 1), (1, 96), (96, 4), (4, 96), (1, 96, 96), (3,), (0, 3), (3, 1), (5, 1, 1)]
Make = Callable[[random.Random, GraphBuilder, list[Value]], Value | None]


def pick(draw: random.Random, pool: list[Value]) -> Value:
    """One of the values, often the last."""
    return pool[-1] if draw.random() < 0.4 else draw.choice(pool)


def elementwise(draw: random.Random, g: GraphBuilder, pool: list[Value]) -> Value | None:
    left, right = pick(draw, pool), pick(draw, pool)
    if not fits(left.shape, right.shape):
        return None
    return g.op(draw.choice(["Add", "Sub", "Mul"]), [left, right], np.broadcast_shapes(left.shape, right.shape))


def negative(draw: random.Random, g: GraphBuilder, pool: list[Value]) -> Value:
    value = pick(draw, pool)
    return g.op("Neg", [value], value.shape)


def neutral(draw: random.Random, g: GraphBuilder, pool: list[Value]) -> Value:
    value = pick(draw, pool)
    operator, number = draw.choice([("Mul", 1), ("Add", 0), ("Sub", 0), ("Mul", 2)])
    operands = [value, g.constant(np.full(draw.choice([(), (1,), (1, 1, 1, 1)]), number), value.dtype)]
    if operator != "Sub" and draw.random() < 0.5:
        operands.reverse()
    return g.op(operator, operands, np.broadcast_shapes(*(operand.shape for operand in operands)))


def product(draw: random.Random, g: GraphBuilder, pool: list[Value]) -> Value | None:
    left, right = pick(draw, pool), pick(draw, pool)
    if len(right.shape) != 2 or len(left.shape) < 2 or left.shape[-1] != right.shape[0]:
        return None
    return g.op("MatMul", [left, right], (*left.shape[:-1], right.shape[1]))


def step(draw: random.Random, g: GraphBuilder, pool: list[Value]) -> Value | None:
    """A value minus a multiple of a product."""
    along, scalars = product(draw, g, pool), [value for value in pool if value.shape in ((), (1,))]
    if along is None or not scalars:
        return None
    multiple = g.op("Mul", [along, draw.choice(scalars)], along.shape)
    before = [value for value in pool if fits(value.shape, along.shape)]
    if not before:
        return None
    start = draw.choice(before)
    return g.op("Sub", [start, multiple], np.broadcast_shapes(start.shape, along.shape))


def fits(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    try:
        np.broadcast_shapes(one, other)
    except ValueError:
        return False
    return True


def turned(draw: random.Random, g: GraphBuilder, pool: list[Value]) -> Value:
    value = pick(draw, pool)
    return g.transpose(value, draw.sample(range(len(value.shape)), len(value.shape)))


def folded(draw: random.Random, g: GraphBuilder, pool: list[Value]) -> Value | None:
    value = pick(draw, pool)
    kept = [size for size in value.shape if size != 1]
    kept.insert(draw.randint(0, len(kept)), 1)
    return g.reshape(value, draw.choice([kept, [size for size in kept if size != 1], [int(np.prod(value.shape))]]))


def total(draw: random.Random, g: GraphBuilder, pool: list[Value]) -> Value | None:
    value = pick(draw, pool)
    rank = len(value.shape)
    if not rank:
        return None
    axes = sorted(draw.sample(range(rank), draw.randint(1, rank)))
    shape = [1 if axis in axes else size for axis, size in enumerate(value.shape)]
    return g.op("ReduceSum", [value, g.constant(np.array(axes, np.int64))], shape, keepdims=1)


MAKERS: list[Make] = [*[elementwise] * 4, *[negative, neutral] * 2, *[product] * 2, *[step] * 4, turned, folded, total]


def build(seed: int, dtype: str) -> onnx.ModelProto:
    """A random graph; the same for the same seed."""
    draw, g = random.Random(seed), GraphBuilder()
    pool = [g.input(f"i{index}", dtype, shape) for index, shape in enumerate(draw.sample(SHAPES, 6))]
    made: list[Value] = []
    for _ in range(draw.randint(4, 25)):
        value = draw.choice(MAKERS)(draw, g, pool)
        if value is not None and np.prod(value.shape) <= 1 << 16:
            made.append(value)
            pool += [value] * 3
    chosen = draw.sample(made, min(len(made), draw.randint(1, 4))) if made else pool[:1]
    for index, value in enumerate([*chosen, pool[-1]]):
        g.output(f"o{index}", value)
    return g.build("test")


@pytest.mark.parametrize("dtype", ["float32", "int64"])
@settings(max_examples=100, deadline=None)
@given(st.integers(0, 1 << 30))
def test_results_stay(dtype: str, seed: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        models = []
        for passes in ((), PASSES):
            patch.setattr(graph_module, "run_passes", lambda nodes, names, passes=passes: run_passes(nodes, names, passes))
            models.append(build(seed, dtype))
    plain, passed = models
    check_model(passed)
    rng = np.random.default_rng(0)
    shapes = {value.name: [d.dim_value for d in value.type.tensor_type.shape.dim] for value in plain.graph.input}
    inputs = {name: np.asarray(rng.integers(-3, 4, shape), dtype) for name, shape in shapes.items()}
    expected, actual = run_model(plain, inputs), run_model(passed, inputs)
    for name, value in expected.items():
        assert actual[name].shape == value.shape
        np.testing.assert_allclose(actual[name], value, rtol=1e-4, atol=1e-4 * np.abs(value).max(initial=0.0))
