"""int8 of attention, recurrent layers and batches of matrices, compared with the user's own module in float32."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from support import tensorrt_builds
from torch import Tensor, nn

from edgebll.kernel.bundle import INT8_GRAPH, open_bundle
from edgebll.kernel.errors import ExportError
from edgebll.learning import SGD, make_rule
from edgebll.learning.networks import BlockNetwork
from edgebll_devices.runtimes.int8_forward import Int8Forward
from edgebll_export import export_bundle, make_target
from edgebll_export.bundles.quantize import quantize_bundle

BATCH = 8


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x, need_weights=False)[0]


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.GRU(8, 8, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.cells(x)[0]


class MatrixEach(nn.Module):
    """A matrix of its own for every position."""

    def __init__(self) -> None:
        super().__init__()
        self.matrices = nn.Parameter(torch.randn(5, 8, 8) / 3)

    def forward(self, x: Tensor) -> Tensor:
        return (x.transpose(0, 1) @ self.matrices).transpose(0, 1)


class Logarithm(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward((x + 3).log())


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "MultiheadAttention": Attention,
    "GRU": Recurrent,
    "TransformerEncoderLayer": lambda: nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True),
    "matrices": MatrixEach,
    "nothing to multiply": nn.Tanh,
    "Conv3d": lambda: nn.Sequential(nn.Unflatten(1, (5, 1, 1)), nn.Conv3d(5, 5, (1, 1, 3), padding=(0, 0, 1)), nn.Flatten(2)),
}


def network(make: Callable[[], nn.Module], **inputs: Any) -> BlockNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return BlockNetwork([nn.Sequential(make(), nn.Flatten(), nn.Linear(40, 3))], 3, (5, 8), **inputs)


def samples(count: int = 4 * BATCH) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, 5, 8), dtype=np.float32)


def quantised(made: BlockNetwork, path: Path, data: np.ndarray, target: str = "onnx", precision: str = "float32") -> Path:
    how: dict[str, Any] = {"batch_size": BATCH, "path": path / "float", "target": make_target(target), "precision": precision}
    export_bundle(made, rule=make_rule("backprop"), optimizer=SGD(), **how)
    quantize_bundle(path / "float", path / "int8", data, network=made)
    return path / "int8"


#: Layer, target and precision of the float graphs.
CASES = [
    *((name, "onnx", "float32") for name in LAYERS),
    ("TransformerEncoderLayer", "tensorrt-8.6", "float32"),
    ("MultiheadAttention", "tensorrt-10", "bfloat16"),
    ("GRU", "onnx", "mixed"),
]


@pytest.mark.parametrize(("name", "target", "precision"), CASES)
def test_int8_is_near_the_users_module(name: str, target: str, precision: str, tmp_path: Path) -> None:
    made = network(LAYERS[name])
    with torch.no_grad():
        expected = copy.deepcopy(made.blocks[0]).eval()(torch.from_numpy(samples(BATCH))).numpy()
    bundle = open_bundle(quantised(made, tmp_path, samples(), target, precision))
    actual = Int8Forward(bundle, "block0").evaluate(samples(BATCH))
    assert np.abs(actual - expected).max() < 0.05 * np.abs(expected).max()
    if target != "onnx" and tensorrt_builds.AVAILABLE:
        assert tensorrt_builds.build(name, bundle.graph("block0", INT8_GRAPH), ("SM86",)).warnings == ()
    model = onnx.load_from_string(bundle.graph("block0", INT8_GRAPH))
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    makers = {output: node for node in model.graph.node for output in node.output}
    weights = [makers[name] for node in model.graph.node if node.op_type in ("Gemm", "MatMul") for name in node.input[1:2]]
    for node in weights:
        assert node.op_type == "DequantizeLinear"
        if node.input[0] in stored:
            assert stored[node.input[0]].dtype == np.int8
    assert sum(value.size for value in stored.values()) < 2 * sum(p.numel() for p in made.parameters()) + 1000


def test_samples_without_a_scale_are_refused_by_name(tmp_path: Path) -> None:
    made = network(lambda: Logarithm(8, 8), input_range=(0, 1))
    with pytest.raises(ExportError, match="block0 gives NaN or infinity on the samples to calibrate on"):
        quantised(made, tmp_path, 10 * samples())
    assert not (tmp_path / "int8").exists()
