"""Horizontal fusion of updates: bit-identical results with fewer nodes, and only where its conditions hold."""

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from support.graphs import run_model

from edgebll_export.bundles.block_models import check_model
from edgebll_export.graph import builder as graph_module
from edgebll_export.graph.builder import GraphBuilder, Value

Shapes = Sequence[tuple[int, ...]]


def updates(shapes: Shapes) -> onnx.ModelProto:
    """p - lr * (0.9 m + g) for a parameter of each shape, with the moment as a second output."""
    g = GraphBuilder()
    lr = g.input("lr", "float32", ())
    for index, shape in enumerate(shapes):
        p, m, d = (g.input(f"{kind}{index}", "float32", shape) for kind in "pmd")
        moment = g.elementwise("Add", [g.elementwise("Mul", [m, g.constant(0.9, "float32")]), d])
        g.output(f"m{index}.next", moment)
        g.output(f"p{index}.next", g.elementwise("Sub", [p, g.elementwise("Mul", [lr, moment])]))
    return built(g)


def built(g: GraphBuilder) -> onnx.ModelProto:
    model = g.build("test")
    check_model(model)
    return model


def random_inputs(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in model.graph.input}
    return {name: np.asarray(rng.standard_normal(shape), np.float32) for name, shape in shapes.items()}


def count(model: onnx.ModelProto, *operators: str) -> int:
    return sum(node.op_type in operators for node in model.graph.node)


@pytest.mark.parametrize(
    "shapes",
    [[(3,), (5,)], [(4, 2, 3, 3), (4,), (4, 2, 1, 1), (1,)], [(300, 300), (3,), (2, 2)], [(70000, 1)], [(1,), (1,)]],
    ids=str,
)
def test_results_are_bit_identical(shapes: Shapes, monkeypatch: pytest.MonkeyPatch) -> None:
    fused = updates(shapes)
    monkeypatch.setattr(graph_module, "run_passes", lambda nodes, names: nodes)
    plain = updates(shapes)
    inputs = random_inputs(plain)
    expected, actual = run_model(plain, inputs), run_model(fused, inputs)
    assert expected.keys() == actual.keys()
    for name, value in expected.items():
        assert actual[name].shape == value.shape, name
        assert actual[name].tobytes() == value.tobytes(), name


def test_small_updates_become_one_chain() -> None:
    model = updates([(7,)] * 10)
    assert count(model, "Mul", "Add", "Sub") == 4
    assert count(model, "Split") == 2
    assert count(model, "Reshape") == 0


def test_a_scalar_that_is_several_outputs_stays() -> None:
    g = GraphBuilder()
    total = g.elementwise("Mul", [g.input("x", "float32", ()), g.constant(2.0, "float32")])
    for name in "abc":
        g.output(name, total)
    assert count(built(g), "Split", "Concat", "Reshape") == 0


def test_large_and_single_updates_stay() -> None:
    model = updates([(300, 300), (300, 301), (5,)])
    assert count(model, "Split", "Concat", "Reshape") == 0


def test_large_tensors_with_trailing_ones_are_flattened() -> None:
    model = updates([(300, 300, 1, 1)])
    assert count(model, "Reshape") == 5
    assert count(model, "Split", "Concat") == 0


def test_different_chains_are_not_joined() -> None:
    """A different scalar or operand order is a different chain."""
    g = GraphBuilder()
    x: list[Value] = [g.input(f"x{k}", "float32", (4,)) for k in range(4)]
    half, third = g.constant(0.5, "float32"), g.constant(0.3, "float32")
    g.output("a", g.elementwise("Mul", [x[0], half]))
    g.output("b", g.elementwise("Mul", [x[1], third]))
    g.output("c", g.elementwise("Mul", [half, x[2]]))
    g.output("d", g.elementwise("Add", [x[3], half]))
    assert count(built(g), "Split", "Concat") == 0


def test_broadcast_operands_end_the_chain() -> None:
    g = GraphBuilder()
    for index in range(2):
        wide, row, p = (g.input(f"{n}{index}", "float32", s) for n, s in (("w", (3, 4)), ("r", (4,)), ("p", (3, 4))))
        g.output(f"o{index}", g.elementwise("Sub", [p, g.elementwise("Mul", [wide, row])]))
    model = built(g)
    assert (count(model, "Mul"), count(model, "Sub"), count(model, "Split")) == (2, 1, 1)
    inputs = random_inputs(model)
    for index in range(2):
        expected = inputs[f"p{index}"] - inputs[f"w{index}"] * inputs[f"r{index}"]
        np.testing.assert_array_equal(run_model(model, inputs)[f"o{index}"], expected)


def test_values_read_elsewhere_keep_their_node() -> None:
    g = GraphBuilder()
    for index in range(2):
        x = g.input(f"x{index}", "float32", (4,))
        doubled = g.elementwise("Mul", [x, g.constant(2.0, "float32")])
        g.output(f"y{index}", g.elementwise("Add", [doubled, x]))
        g.output(f"z{index}", g.op("Relu", [doubled], (4,)))
    model = built(g)
    inputs = random_inputs(model)
    results = run_model(model, inputs)
    for index in range(2):
        given = inputs[f"x{index}"]
        np.testing.assert_array_equal(results[f"y{index}"], 2 * given + given)
        np.testing.assert_array_equal(results[f"z{index}"], np.maximum(2 * given, 0))
