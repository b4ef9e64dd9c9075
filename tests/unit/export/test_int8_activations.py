"""Graphs of precision int8: scales by plain arithmetic, QuantizeLinear and DequantizeLinear in pairs, and PyTorch's step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from support.one_node import run_ort, run_reference
from support.own_modules import Residual
from torch import Tensor, nn

from edgebll.kernel.bundle import open_bundle
from edgebll.kernel.errors import BundleError, ExportError
from edgebll.learning import SGD, Backprop
from edgebll.learning.int8.operators import rounded_to_int8
from edgebll.learning.networks import BlockNetwork
from edgebll_devices.runtimes.golden_replay import failures, replay
from edgebll_export import export_bundle, make_target, verify_bundle
from edgebll_export.lowering.lower_trace import lower
from edgebll_export.targets import ONNX, Target
from edgebll_export.tracing.trace import trace


def rounding(x: Tensor, target: Target = ONNX) -> onnx.ModelProto:
    """x to R(x) as a graph; its input and output have the names that `run_ort` has for them."""
    return lower(trace(lambda values: {"o0": rounded_to_int8(values["i0"])}, {"i0": x}), "rounding", target)[0]


@pytest.mark.parametrize("target", ["onnx", "microcontroller"])
def test_a_graph_rounds_as_pytorch_does_at_every_magnitude(target: str) -> None:
    chance = np.random.default_rng(0)
    model = rounding(torch.zeros(3, 7), make_target(target))
    for power in range(-100, 100):
        largest = np.float32(2.0**power * chance.choice([1, 1.5, 127 / 64, 1.99, *chance.uniform(1, 2, 4)]))
        x = (chance.uniform(-1, 1, (3, 7)) * largest).astype(np.float32)
        x[0, 0] = chance.choice([-1, 1]) * largest
        wanted = rounded_to_int8(torch.from_numpy(x)).numpy()
        for run in (run_ort, run_reference):
            np.testing.assert_array_equal(run(model, [x])[0], wanted, err_msg=f"{run.__name__} {largest}")
    zeros = np.zeros((3, 7), np.float32)
    np.testing.assert_array_equal(run_ort(model, [zeros])[0], zeros)


def test_halves_go_to_the_even_number() -> None:
    x = np.array([127, 0.5, 1.5, 2.5, -0.5, -2.5, -127], np.float32)
    for run in (run_ort, run_reference):
        assert run(rounding(torch.from_numpy(x)), [x])[0].tolist() == [127, 0, 2, 2, 0, -2, -127]


def test_the_reference_runtime_takes_one_scale_alone() -> None:
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (2,)) for name in ("i0", "i1", "o0")]
    zero = helper.make_tensor("z", TensorProto.INT8, (2,), bytes(2), raw=True)
    nodes = [helper.make_node("QuantizeLinear", ["i0", "i1", "z"], ["q"], axis=0)]
    nodes.append(helper.make_node("DequantizeLinear", ["q", "i1", "z"], ["o0"], axis=0))
    model = helper.make_model(
        helper.make_graph(nodes, "g", infos[:2], infos[2:], [zero]), opset_imports=[helper.make_opsetid("", 17)]
    )
    with pytest.raises(BundleError, match=r"scale must be one number, not of shape \[2\]"):
        run_reference(model, [np.ones(2, np.float32)] * 2)


def network() -> BlockNetwork:
    """A residual block and what is behind it."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        layers = [nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), Residual(4, 6, 2), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(24, 5)]
        return BlockNetwork([nn.Sequential(*layers)], num_classes=5, input_shape=(1, 8, 8))


def exported(path: Path, target: str) -> None:
    how = make_target(target)
    export_bundle(network(), rule=Backprop(), optimizer=SGD(), batch_size=4, path=path, target=how, precision="int8")


@pytest.mark.parametrize("target", ["onnx", pytest.param("microcontroller", marks=pytest.mark.slow)])
def test_the_exported_step_is_that_of_pytorch(tmp_path: Path, target: str) -> None:
    """By the block's own modules and autograd; the golden vectors hold on other runtimes too."""
    exported(tmp_path / "b", target)
    rows = verify_bundle(tmp_path / "b", network=network(), steps=3)
    assert [row for row in rows if row.failed] == []
    bundle = open_bundle(tmp_path / "b")
    assert bundle.manifest.precision == "int8"
    # x, three ReLUs, two batch norms, what is flattened
    operators = [node.op_type for node in onnx.load_from_string(bundle.graph("block0", "step")).graph.node]
    assert operators.count("QuantizeLinear") == operators.count("DequantizeLinear") == 7, (
        "x, three ReLUs, two batch norms, what is flattened"
    )
    assert "QuantizeLinear" not in {
        node.op_type for node in onnx.load_from_string(bundle.graph("block0", "forward")).graph.node
    }
    for runtime in ("onnxruntime", "reference", *(["ordered"] if target == "microcontroller" else [])):
        assert failures(replay(bundle, "block0", runtime)) == []


def test_tensorrt_refuses(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="target tensorrt-10 does not compute in int8; it has float32, mixed, bfloat16"):
        exported(tmp_path / "b", "tensorrt-10")
