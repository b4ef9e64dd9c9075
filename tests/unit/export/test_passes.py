"""Every pass: what it rewrites, what it leaves alone, and that results keep their bits; then all of them on whole steps."""

from collections.abc import Callable, Sequence

import numpy as np
import onnx
import pytest
import torch
from support.graphs import run_model
from torch import nn

from edgebll.kernel.errors import ExportError
from edgebll.learning import BLL, SGD, make_steps
from edgebll.learning.networks import BlockNetwork
from edgebll_export.bundles.block_models import block_models, check_model
from edgebll_export.graph import builder as graph_module
from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.passes import PASSES, run_passes
from edgebll_export.passes.dead_nodes import in_order
from edgebll_export.passes.drop_axes import drop_axes
from edgebll_export.passes.merge_equal import merge_equal
from edgebll_export.passes.merge_reshapes import merge_reshapes
from edgebll_export.passes.simplify import simplify
from edgebll_export.passes.transposes import merge_transposes
from edgebll_export.passes.value_names import Pass

Build = Callable[[GraphBuilder, Value], Value]


def operators(build: Build, one: Pass, monkeypatch: pytest.MonkeyPatch, shape: Sequence[int] = (2, 3, 4)) -> list[str]:
    """Operators of a graph of one input after one pass, which must not change a bit of its output."""
    models = []
    for passes in ((), (one,)):
        monkeypatch.setattr(graph_module, "run_passes", lambda nodes, names, passes=passes: run_passes(nodes, names, passes))
        g = GraphBuilder()
        g.output("y", build(g, g.input("x", "float32", shape)))
        models.append(g.build("test"))
        check_model(models[-1])
    inputs = {"x": np.random.default_rng(0).standard_normal(shape).astype(np.float32)}
    plain, passed = (run_model(model, inputs)["y"] for model in models)
    assert plain.shape == passed.shape
    assert plain.tobytes() == passed.tobytes()
    return [node.op_type for node in models[-1].graph.node]


def reshape(g: GraphBuilder, x: Value, *shape: int) -> Value:
    return g.node("Reshape", [x, g.constant(np.array(shape, np.int64))], [(x.dtype, shape)])[0]


def turn(g: GraphBuilder, x: Value, *order: int) -> Value:
    return g.node("Transpose", [x], [(x.dtype, [x.shape[axis] for axis in order])], perm=list(order))[0]


def total(g: GraphBuilder, x: Value, axes: list[int], shape: Sequence[int]) -> Value:
    return g.op("ReduceSum", [x, g.constant(np.array(axes, np.int64))], shape, keepdims=1)


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda g, x: reshape(g, reshape(g, x, 6, 4), 24), ["Reshape"]),
        (lambda g, x: reshape(g, reshape(g, x, 6, 4), 2, 3, 4), ["Identity"]),
        (lambda g, x: g.op("Squeeze", [reshape(g, x, 1, 24)], (24,)), ["Reshape"]),
        (lambda g, x: g.op("Add", [reshape(g, g.op("Relu", [x], x.shape), 24)] * 2, (24,)), ["Relu", "Reshape", "Add"]),
    ],
)
def test_merge_reshapes(build: Build, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert operators(build, merge_reshapes, monkeypatch) == expected


@pytest.mark.parametrize(
    ("build", "shape", "expected"),
    [
        (lambda g, x: turn(g, turn(g, x, 1, 0, 2), 1, 0, 2), (2, 3, 4), ["Identity"]),
        (lambda g, x: turn(g, turn(g, x, 1, 0, 2), 0, 2, 1), (2, 3, 4), ["Transpose"]),
        (lambda g, x: turn(g, x, 1, 0, 2), (1, 3, 4), ["Reshape"]),
        (lambda g, x: turn(g, x, 1, 0, 2, 3), (2, 3, 4, 5), ["Transpose"]),
        (lambda g, x: turn(g, x, 1, 0, 2, 3), (8, 8, 8, 9), ["Reshape", "Transpose", "Reshape"]),
        (lambda g, x: turn(g, x, 1, 0, 3, 4, 2), (8, 16, 1, 7, 7), ["Reshape", "Transpose", "Reshape"]),
        (lambda g, x: turn(g, x, 2, 3, 0, 1), (8, 8, 8, 9), ["Reshape", "Transpose", "Reshape"]),
        (lambda g, x: turn(g, x, 3, 2, 1, 0), (8, 8, 8, 9), ["Transpose"]),
    ],
)
def test_merge_transposes(build: Build, shape: Sequence[int], expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert operators(build, merge_transposes, monkeypatch, shape) == expected


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda g, x: reshape(g, total(g, x, [0, 2], (1, 3, 1)), 3), ["ReduceSum"]),
        (lambda g, x: reshape(g, total(g, x, [0], (1, 3, 4)), 3, 4), ["ReduceSum"]),
        (lambda g, x: reshape(g, total(g, reshape(g, x, 1, 6, 4), [2], (1, 6, 1)), 6), ["Reshape", "ReduceSum"]),
        (lambda g, x: reshape(g, total(g, reshape(g, x, 1, 6, 4), [2], (1, 6, 1)), 1, 6), ["Reshape", "ReduceSum"]),
        (lambda g, x: reshape(g, g.op("ReduceMean", [x], (2, 1, 1), axes=[1, 2], keepdims=1), 2), ["ReduceMean"]),
        (lambda g, x: g.op("Squeeze", [total(g, x, [0, 1, 2], (1, 1, 1))], ()), ["ReduceSum"]),
        (lambda g, x: reshape(g, total(g, x, [2], (2, 3, 1)), 6), ["ReduceSum", "Reshape"]),
        (lambda g, x: reshape(g, total(g, x, [2], (2, 3, 1)), 1, 2, 3), ["ReduceSum", "Reshape"]),
        (lambda g, x: g.op("Sub", [x, total(g, x, [2], (2, 3, 1))], (2, 3, 4)), ["ReduceSum", "Sub"]),
        (lambda g, x: total(g, x, [2], (2, 3, 1)), ["ReduceSum"]),
        (lambda g, x: reshape(g, total(g, x, [], (1, 1, 1)), 1), ["ReduceSum", "Reshape"]),
    ],
)
def test_drop_axes(build: Build, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert operators(build, drop_axes, monkeypatch) == expected


def number(g: GraphBuilder, value: float, *shape: int) -> Value:
    return g.constant(np.full(shape, value, np.float32))


def kept_alone(g: GraphBuilder, x: Value) -> Value:
    """A product of which only one factor stays."""
    return g.elementwise("Mul", [g.elementwise("Exp", [x]), number(g, 1)])


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda g, x: g.elementwise("Mul", [x, number(g, 1)]), ["Identity"]),
        (lambda g, x: g.elementwise("Mul", [number(g, 1, 2, 3, 4), x]), ["Identity"]),
        (lambda g, x: g.elementwise("Div", [x, number(g, 1)]), ["Identity"]),
        (lambda g, x: g.elementwise("Div", [number(g, 1), x]), ["Div"]),
        (lambda g, x: g.elementwise("Sub", [x, number(g, 0)]), ["Identity"]),
        (lambda g, x: g.elementwise("Add", [x, number(g, 0, 5, 1, 1, 1)]), ["Add"]),
        (lambda g, x: g.elementwise("Neg", [g.elementwise("Neg", [x])]), ["Identity"]),
        (lambda g, x: g.elementwise("Add", [x, g.elementwise("Neg", [g.elementwise("Exp", [x])])]), ["Exp", "Sub"]),
        (lambda g, x: g.elementwise("Sub", [x, g.elementwise("Neg", [g.elementwise("Exp", [x])])]), ["Exp", "Add"]),
        (lambda g, x: g.elementwise("Mul", [x, number(g, 2)]), ["Mul"]),
        # What a node reads may itself have gone before.
        (lambda g, x: g.elementwise("Add", [x, g.elementwise("Neg", [kept_alone(g, x)])]), ["Exp", "Sub"]),
        (
            lambda g, x: g.elementwise("Add", [x, g.elementwise("Neg", [g.elementwise("Neg", [kept_alone(g, x)])])]),
            ["Exp", "Add"],
        ),
        (
            lambda g, x: g.elementwise(
                "Sub", [x, g.elementwise("Mul", [g.elementwise("Neg", [kept_alone(g, x)]), number(g, 1)])]
            ),
            ["Exp", "Add"],
        ),
    ],
)
def test_simplify(build: Build, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert operators(build, simplify, monkeypatch) == expected


def test_merge_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(g: GraphBuilder, x: Value) -> Value:
        first = g.elementwise("Exp", [x])
        g.nodes.append(onnx.helper.make_node("Exp", ["x"], [g.declare("float32", x.shape)]))
        second = Value(g.nodes[-1].output[0], "float32", x.shape, x.shape)
        return g.op("Concat", [first, second, g.elementwise("LeakyRelu", [x], alpha=0.1)], (6, 3, 4), axis=0)

    assert operators(build, merge_equal, monkeypatch) == ["Exp", "LeakyRelu", "Concat"]


def test_order_is_restored() -> None:
    nodes = [onnx.helper.make_node("Relu", [a], [b]) for a, b in (("b", "c"), ("x", "a"), ("a", "b"))]
    assert [node.output[0] for node in in_order(nodes)] == ["a", "b", "c"]


def test_nodes_in_a_circle_are_an_error() -> None:
    nodes = [onnx.helper.make_node("Relu", [a], [b]) for a, b in (("x", "a"), ("c", "b"), ("b", "c"))]
    with pytest.raises(ExportError, match="internal error: what makes b, c "):
        in_order(nodes)


class Mixed(nn.Module):
    """Convolutions, batch norm, a gate and a transposed product: something for every pass."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(2, 6, 3, 1, 1), nn.BatchNorm2d(6), nn.SiLU())
        self.second = nn.Sequential(nn.Conv2d(6, 6, 3, 1, 1, groups=6), nn.Conv2d(6, 8, 1), nn.BatchNorm2d(8))
        self.mix = nn.Linear(16, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.second(self.first(x))
        batch, channels, height, width = hidden.shape
        tokens = self.mix(hidden.reshape(batch, channels, height * width).transpose(1, 2).transpose(1, 2))
        return torch.tanh(tokens).reshape(batch, channels, height, width)


def test_whole_steps_keep_their_bits_and_lose_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = BlockNetwork([Mixed(), nn.Sequential(nn.Flatten(), nn.Linear(128, 3))], 3, (2, 4, 4))
    step = make_steps(network, BLL(), SGD(), 4)[0]
    passed = block_models(step).models["step"]
    monkeypatch.setattr(graph_module, "run_passes", lambda nodes, names: run_passes(nodes, names, ()))
    plain = block_models(step).models["step"]
    assert len(passed.graph.node) < 0.8 * len(plain.graph.node)
    inputs = {name: value.numpy() for name, value in step.initial_state().items()}
    inputs["x"] = np.random.default_rng(0).standard_normal((4, 2, 4, 4)).astype(np.float32)
    inputs["y"], inputs["lr"] = np.eye(3, dtype=np.float32)[[0, 1, 2, 1]], np.array(0.1, np.float32)
    expected, actual = run_model(plain, inputs), run_model(passed, inputs)
    assert [name for name, value in expected.items() if actual[name].tobytes() != value.tobytes()] == []


def test_every_pass_is_run() -> None:
    arithmetic = {"simplify", "scale_factors", "absorb_sums", "fuse_updates"}
    others = {"merge_transposes", "merge_reshapes", "drop_axes", "merge_equal", "scan_updates"}
    assert {one.__name__ for one in PASSES} == arithmetic | others
