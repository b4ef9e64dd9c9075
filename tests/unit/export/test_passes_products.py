"""Passes that let a matrix product absorb what follows it: equal up to rounding, and only where their conditions hold."""

from collections.abc import Callable, Sequence

import numpy as np
import onnx
import pytest
import torch
from support.graphs import run_lowered, run_model, to_model
from torch import Tensor

from edgebll_export.bundles.block_models import check_model
from edgebll_export.graph import builder as graph_module
from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.passes import run_passes

#: Makes the output of a graph from the product A B, a matrix p as large and a scalar s.
Follow = Callable[[GraphBuilder, Value, Value, Value], Value]


def chain(size: tuple[int, int, int], turned: bool, follow: Follow, dtype: str = "float32") -> GraphBuilder:
    """A graph of what `follow` makes of A B, with A (M, K) or its transpose, of a matrix p as large and of a scalar s."""
    rows, inner, columns = size
    g = GraphBuilder()
    a = g.input("a", dtype, (inner, rows) if turned else (rows, inner))
    b, p, s = g.input("b", dtype, (inner, columns)), g.input("p", dtype, (rows, columns)), g.input("s", dtype, ())
    product = g.op("Gemm", [a, b], (rows, columns), transA=1) if turned else g.op("MatMul", [a, b], (rows, columns))
    g.output("y", follow(g, product, p, s))
    return g


def minus(g: GraphBuilder, x: Value, y: Value) -> Value:
    return g.elementwise("Sub", [x, y])


def plus(g: GraphBuilder, x: Value, y: Value) -> Value:
    return g.elementwise("Add", [x, y])


def times(g: GraphBuilder, x: Value, y: Value) -> Value:
    return g.elementwise("Mul", [x, y])


def folded(g: GraphBuilder, x: Value) -> Value:
    shape = (2, x.shape[0] // 2, x.shape[1])
    return g.node("Reshape", [x, g.constant(np.array(shape, np.int64))], [(x.dtype, shape)])[0]


def number(g: GraphBuilder, value: float, *shape: int) -> Value:
    return g.constant(np.full(shape, value, np.float32))


ABSORBED = {
    "step along the product": (lambda g, x, p, s: minus(g, p, times(g, s, x)), ["Mul", "Gemm"]),
    "decay": (lambda g, x, p, s: plus(g, x, times(g, p, number(g, 0.01))), ["Gemm"]),
    "momentum": (lambda g, x, p, s: plus(g, times(g, number(g, 0.9), p), x), ["Gemm"]),
    "sum": (lambda g, x, p, s: plus(g, x, p), ["Gemm"]),
    "variable factor": (lambda g, x, p, s: plus(g, x, times(g, p, s)), ["Mul", "Gemm"]),
    "behind a reshape": (
        lambda g, x, p, s: plus(g, folded(g, x), times(g, folded(g, p), number(g, 0.01))),
        ["Gemm", "Reshape"],
    ),
}
KEPT = {
    "read twice": (lambda g, x, p, s: plus(g, plus(g, x, p), times(g, x, x)), ["MatMul", "Add", "Mul", "Add"]),
    "multiple read twice": (
        lambda g, x, p, s: plus(g, minus(g, p, times(g, s, x)), times(g, s, x)),
        ["MatMul", "Mul", "Sub", "Add"],
    ),
    "one row": (lambda g, x, p, s: plus(g, x, number(g, 2.0, 1, x.shape[1])), ["MatMul", "Add"]),
}


def check_absorbed(model: onnx.ModelProto, plain: onnx.ModelProto, expected: list[str]) -> None:
    check_model(model)
    assert [node.op_type for node in model.graph.node] == expected
    rng = np.random.default_rng(0)
    shapes = {value.name: [d.dim_value for d in value.type.tensor_type.shape.dim] for value in plain.graph.input}
    inputs = {name: np.asarray(rng.standard_normal(shape), np.float32) for name, shape in shapes.items()}
    wanted, actual = run_model(plain, inputs)["y"], run_model(model, inputs)["y"]
    np.testing.assert_allclose(actual, wanted, rtol=0, atol=2e-6 * np.abs(wanted).max())


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("size", [(128, 4, 80), (100, 3, 100), (90, 20, 100)])
@pytest.mark.parametrize("name", ABSORBED)
def test_products_absorb_what_follows(
    name: str, size: tuple[int, int, int], turned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow, expected = ABSORBED[name]
    model = chain(size, turned, follow).build("test")
    monkeypatch.setattr(graph_module, "run_passes", lambda nodes, names: run_passes(nodes, names, ()))
    plain = chain(size, turned, follow).build("test")
    check_absorbed(model, plain, expected)


@pytest.mark.parametrize("name", KEPT)
def test_products_that_others_read_stay(name: str) -> None:
    follow, expected = KEPT[name]
    assert [node.op_type for node in chain((128, 4, 80), False, follow).build("test").graph.node] == expected


@pytest.mark.parametrize(
    "shapes",
    [((4, 10000), (1, 8), (8, 10000)), ((2, 100, 100), (100, 5), (5, 100)), ((1, 100, 100), (100, 5), (5, 100))],
)
@pytest.mark.parametrize("function", [lambda p, a, b: p - 0.1 * (a @ b), lambda p, a, b: p + a @ b])
def test_products_that_are_broadcast_stay(function: Callable[..., Tensor], shapes: Sequence[Sequence[int]]) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(shape, generator=generator) for shape in shapes]
    model = to_model(lambda *values: (function(*values),), inputs)
    assert "MatMul" in [node.op_type for node in model.graph.node]
    (found,) = run_lowered(lambda *values: (function(*values),), inputs)
    np.testing.assert_allclose(found, function(*inputs).numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["sum", "step along the product"])
@pytest.mark.parametrize("dtype", ["int64", "int32"])
def test_products_of_integers_stay(name: str, dtype: str) -> None:
    """ONNX Runtime has no Gemm for them."""
    model = chain((128, 4, 80), False, ABSORBED[name][0], dtype).build("test")
    assert model.graph.node[0].op_type == "MatMul"
    inputs = {value.name: [d.dim_value for d in value.type.tensor_type.shape.dim] for value in model.graph.input}
    assert run_model(model, {key: np.ones(shape, dtype) for key, shape in inputs.items()})["y"].max() in (5, -3)


@pytest.mark.parametrize("size", [(64, 4, 64), (128, 64, 128)])
def test_small_or_deep_products_are_not_scaled(size: tuple[int, int, int]) -> None:
    model = chain(size, False, ABSORBED["step along the product"][0]).build("test")
    assert [node.op_type for node in model.graph.node] == ["MatMul", "Mul", "Sub"]
