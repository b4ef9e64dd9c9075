"""Updates of large tensors in a Scan: the same bits, only where the conditions hold, and on whole steps too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from support.graphs import run_model
from torch import nn

from edgebll.learning import BLL, SGD, Adam, AdamW, BlockStep, Optimizer, make_steps
from edgebll.learning.networks import BlockNetwork
from edgebll_export import make_target
from edgebll_export.bundles.block_models import block_models, check_model
from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.targets import ONNX, Target

SCANS = make_target("onnx", threads=1)
LARGE = (256, 4096)
Shape = tuple[int, ...]
#: Makes the outputs of a graph from a state w, m, a gradient d and the scalar lr.
Update = Callable[[GraphBuilder, Value, Value, Value, Value], dict[str, Value]]


def op(g: GraphBuilder, operator: str, *inputs: Value) -> Value:
    return g.elementwise(operator, list(inputs))


def nesterov(g: GraphBuilder, w: Value, m: Value, d: Value, lr: Value) -> dict[str, Value]:
    mu = g.constant(0.9, w.dtype)
    moment = op(g, "Add", op(g, "Mul", m, mu), d)
    step = op(g, "Mul", lr, op(g, "Add", d, op(g, "Mul", moment, mu)))
    return {"m.next": moment, "w.next": op(g, "Sub", w, step), "step": step}


def without_step(g: GraphBuilder, *values: Value) -> dict[str, Value]:
    return {name: value for name, value in nesterov(g, *values).items() if name != "step"}


def root(g: GraphBuilder, w: Value, m: Value, d: Value, lr: Value) -> dict[str, Value]:
    """Scalars computed on the way, one of them an output, and a choice between old and new."""
    rate = op(g, "Mul", lr, lr)
    square = op(g, "Add", op(g, "Mul", m, rate), op(g, "Mul", d, d))
    new = op(g, "Sub", w, op(g, "Div", d, op(g, "Sqrt", op(g, "Add", square, rate))))
    good = g.node("Less", [rate, g.constant(1e3, w.dtype)], [("bool", ())])[0]
    return {"m.next": square, "w.next": g.elementwise("Where", [good, new, w], w.dtype), "rate": rate}


def reduced(g: GraphBuilder, value: Value) -> Value:
    return g.op("ReduceSum", [value, g.constant(np.arange(len(value.shape)))], (), keepdims=0)


def read_elsewhere(g: GraphBuilder, *values: Value) -> dict[str, Value]:
    """The decayed gradient has a reader of its own."""
    w, m, d, lr = values
    decayed = op(g, "Add", d, op(g, "Mul", w, g.constant(0.01, w.dtype)))
    return {**without_step(g, w, m, decayed, lr), "norm": reduced(g, decayed)}


def coming_back(g: GraphBuilder, *values: Value) -> dict[str, Value]:
    """The new moment's sum scales the new weight."""
    results = without_step(g, *values)
    return {**results, "w.next": op(g, "Mul", results["w.next"], reduced(g, results["m.next"]))}


def short(g: GraphBuilder, w: Value, m: Value, d: Value, lr: Value) -> dict[str, Value]:
    return {"w.next": op(g, "Sub", w, op(g, "Mul", lr, op(g, "Add", m, d)))}


def of_rows(g: GraphBuilder, w: Value, m: Value, d: Value, lr: Value) -> dict[str, Value]:
    """Every operator has an operand of one row."""
    row = g.constant(np.full((1, *w.shape[1:]), 0.5), w.dtype)
    return {"w.next": op(g, "Mul", op(g, "Add", op(g, "Sub", op(g, "Div", w, row), row), row), row)}


def model_of(update: Update, shape: Shape, target: Target, dtype: str = "float32") -> onnx.ModelProto:
    g = GraphBuilder(target)
    w, m, d = (g.input(name, dtype, shape) for name in "wmd")
    for name, value in update(g, w, m, d, g.input("lr", dtype, ())).items():
        g.output(name, value)
    model = g.build("test")
    check_model(model)
    return model


def scans(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if node.op_type == "Scan"]


def positive_inputs(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {value.name: [d.dim_value for d in value.type.tensor_type.shape.dim] for value in model.graph.input}
    return {name: np.asarray(rng.random(shape), np.float32) for name, shape in shapes.items()}


def assert_same_bits(plain: onnx.ModelProto, scanned: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> None:
    expected, actual = run_model(plain, inputs), run_model(scanned, inputs)
    assert list(expected) == list(actual)
    assert [name for name, value in expected.items() if actual[name].tobytes() != value.tobytes()] == []


@pytest.mark.parametrize(
    ("update", "shape", "outside"),
    [
        (nesterov, LARGE, []),
        (without_step, (256, 64, 8, 8), []),
        (root, LARGE, ["Mul", "Less"]),
        (read_elsewhere, LARGE, ["Mul", "Add", "ReduceSum"]),
    ],
)
def test_large_updates_are_scanned(update: Update, shape: Shape, outside: list[str]) -> None:
    plain, scanned = model_of(update, shape, ONNX), model_of(update, shape, SCANS)
    assert scans(plain) == []
    (scan,) = scans(scanned)
    assert set(scan.output) == {"m.next", "w.next", *(["step"] if update is nesterov else [])}
    assert sorted(node.op_type for node in scanned.graph.node) == sorted([*outside, "Scan"])
    assert_same_bits(plain, scanned, positive_inputs(plain))


@pytest.mark.parametrize("opset", [18, 23])
def test_other_opsets_scan_too(opset: int) -> None:
    target = make_target("onnx", opset, threads=1)
    scanned = model_of(root, LARGE, target)
    assert len(scans(scanned)) == 1
    assert_same_bits(model_of(root, LARGE, replace(target, scans=False)), scanned, positive_inputs(scanned))


@pytest.mark.parametrize(
    ("update", "shape", "target", "dtype"),
    [
        (without_step, (255, 4096), SCANS, "float32"),
        (without_step, (257, 4095), SCANS, "float32"),
        (without_step, (1 << 20,), SCANS, "float32"),
        (without_step, LARGE, SCANS, "float16"),
        (without_step, LARGE, make_target("onnx", threads=2), "float32"),
        (without_step, LARGE, make_target("onnx"), "float32"),
        (without_step, LARGE, make_target("tensorrt-8.5"), "float32"),
        (without_step, LARGE, make_target("tensorrt-11"), "float32"),
        (short, LARGE, SCANS, "float32"),
        (coming_back, LARGE, SCANS, "float32"),
        (of_rows, LARGE, SCANS, "float32"),
    ],
)
def test_what_stays(update: Update, shape: Shape, target: Target, dtype: str) -> None:
    model = model_of(update, shape, target, dtype)
    assert scans(model) == []
    plain = model_of(update, shape, replace(target, scans=False), dtype)
    assert model.SerializeToString(deterministic=True) == plain.SerializeToString(deterministic=True)


OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": SGD(),
    "clipped sgd": SGD(clip_norm=0.1),
    "adam": Adam(weight_decay=0.01),
    "adamw": AdamW(clip_norm=0.1),
}


def large_step(optimizer: Optimizer, precision: str) -> BlockStep:
    torch.manual_seed(0)
    blocks: list[nn.Module] = [nn.Sequential(nn.Flatten(), nn.Linear(4096, 256), nn.ReLU()), nn.Linear(256, 3)]
    return make_steps(BlockNetwork(blocks, 3, (1, 64, 64)), BLL(), optimizer, 4, precision)[0]


@pytest.mark.parametrize("precision", ["float32", "mixed"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_whole_steps_keep_their_bits(name: str, precision: str) -> None:
    step = large_step(OPTIMIZERS[name], precision)
    plain, scanned = (block_models(step, target).models["step"] for target in (ONNX, SCANS))
    found = scans(scanned)
    weights = [[output for output in scan.output if output.endswith("net.1.weight.next")] for scan in found]
    assert [len(one) for one in weights] == [3 if name.startswith("adam") else 2]
    rng = np.random.default_rng(0)
    inputs = {key: 0.01 + np.abs(value.numpy()) for key, value in step.initial_state().items()}
    inputs["x"] = rng.standard_normal((4, 1, 64, 64)).astype(np.float32)
    inputs["y"], inputs["lr"] = np.eye(3, dtype=np.float32)[[0, 1, 2, 1]], np.array(0.1, np.float32)
    inputs = {key: np.asarray(value, np.float32) for key, value in inputs.items()}
    assert_same_bits(plain, scanned, inputs)
