"""Every form of convolution, value and gradients, against float64 autograd on ONNX Runtime; and which form is chosen where."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from support.graphs import assert_lowered_equals_float64, to_model, with_gradients
from torch import Tensor, nn
from torch.nn import functional as F

from edgebll.learning import BLL, SGD
from edgebll.learning.networks import BlockNetwork
from edgebll_export import export_bundle, make_target, verify_bundle
from edgebll_export.lowering.convolution.bilinear_tiles import tiled_axis, toom_cook

#: x, weight, stride, padding, dilation, groups
Case = tuple[Any, ...]
TWO_AXES: dict[str, Case] = {
    "1x1": ((2, 3, 5, 4), (4, 3, 1, 1), 1, 0, 1, 1),
    "1x1 stride 2": ((2, 3, 7, 7), (4, 3, 1, 1), 2, 0, 1, 1),
    "1x1 stride 2 even": ((2, 3, 8, 6), (4, 3, 1, 1), 2, 0, 1, 1),
    "1x1 padding 1": ((2, 3, 4, 4), (2, 3, 1, 1), 1, 1, 1, 1),
    "2x2": ((2, 3, 5, 6), (4, 3, 2, 2), 1, 0, 1, 1),
    "2x2 stride 2": ((2, 3, 6, 7), (4, 3, 2, 2), 2, 0, 1, 1),
    "2x2 padding 1": ((2, 3, 5, 5), (4, 3, 2, 2), 1, 1, 1, 1),
    "3x3": ((2, 3, 6, 5), (4, 3, 3, 3), 1, 1, 1, 1),
    "3x3 no padding": ((2, 3, 5, 7), (4, 3, 3, 3), 1, 0, 1, 1),
    "3x3 padding 2": ((2, 3, 4, 4), (4, 3, 3, 3), 1, 2, 1, 1),
    "3x3 padding 3": ((2, 3, 4, 4), (4, 3, 3, 3), 1, 3, 1, 1),
    "3x3 stride 2": ((2, 3, 7, 7), (4, 3, 3, 3), 2, 1, 1, 1),
    "3x3 stride 2 even": ((2, 3, 8, 6), (4, 3, 3, 3), 2, 1, 1, 1),
    "3x3 stride 3": ((2, 3, 9, 10), (4, 3, 3, 3), 3, 0, 1, 1),
    "3x3 stride 3 padding 1": ((2, 3, 11, 8), (4, 3, 3, 3), 3, 1, 1, 1),
    "3x3 dilation 2": ((2, 3, 9, 8), (4, 3, 3, 3), 1, 2, 2, 1),
    "3x3 dilation 2 stride 2": ((2, 3, 9, 8), (4, 3, 3, 3), 2, 2, 2, 1),
    "3x3 groups": ((2, 4, 6, 6), (6, 2, 3, 3), 1, 1, 1, 2),
    "3x3 groups stride 2": ((2, 4, 7, 6), (6, 2, 3, 3), 2, 1, 1, 2),
    "3x3 depthwise": ((2, 4, 6, 6), (4, 1, 3, 3), 1, 1, 1, 4),
    "3x3 depthwise stride 2": ((2, 4, 7, 7), (4, 1, 3, 3), 2, 1, 1, 4),
    "3x3 depthwise, two filters a channel": ((2, 3, 6, 5), (6, 1, 3, 3), 1, 1, 1, 3),
    "5x5": ((2, 2, 9, 8), (3, 2, 5, 5), 1, 2, 1, 1),
    "5x5 stride 2": ((2, 2, 9, 10), (3, 2, 5, 5), 2, 2, 1, 1),
    "3x1": ((2, 3, 6, 5), (4, 3, 3, 1), 1, (1, 0), 1, 1),
    "uneven all": ((2, 3, 9, 11), (4, 3, 3, 2), (2, 3), (1, 0), (2, 1), 1),
    "batch 1": ((1, 3, 5, 5), (4, 3, 3, 3), 1, 1, 1, 1),
}
ONE_AXIS: dict[str, Case] = {
    "1": ((2, 3, 6), (4, 3, 1), 1, 0, 1, 1),
    "3": ((2, 3, 7), (4, 3, 3), 1, 1, 1, 1),
    "3 stride 2": ((2, 3, 8), (4, 3, 3), 2, 1, 1, 1),
    "5 dilation 2": ((2, 3, 13), (4, 3, 5), 1, 4, 2, 1),
    "3 depthwise": ((2, 4, 9), (4, 1, 3), 1, 1, 1, 4),
}
#: Shapes the Winograd form takes: batch, channels in, channels out, height, width, padding
TILED = [
    (64, 32, 32, 4, 4, 1),
    (16, 32, 40, 8, 8, 1),
    (16, 40, 32, 7, 7, 1),
    (4, 32, 32, 14, 14, 1),
    (16, 32, 32, 9, 6, 1),
    (16, 32, 32, 8, 11, 0),
    (16, 32, 32, 6, 5, 2),
    (64, 32, 32, 2, 2, 1),
    (8, 32, 40, 7, 8, 1),
]


def values(*shapes: tuple[int, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator) for shape in shapes]


@pytest.mark.parametrize("bias", [False, True], ids=["", "bias"])
@pytest.mark.parametrize("name", TWO_AXES)
def test_two_axes(name: str, bias: bool) -> None:
    x, weight, stride, padding, dilation, groups = TWO_AXES[name]

    def function(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return F.conv2d(x, weight, bias, stride, padding, dilation, groups)

    assert_lowered_equals_float64(function, values(x, weight, *([(weight[0],)] if bias else [])))


@pytest.mark.parametrize("name", ONE_AXIS)
def test_one_axis(name: str) -> None:
    x, weight, stride, padding, dilation, groups = ONE_AXIS[name]

    def function(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return F.conv1d(x, weight, bias, stride, padding, dilation, groups)

    assert_lowered_equals_float64(function, values(x, weight, (weight[0],)))


@pytest.mark.parametrize("sizes", TILED, ids=str)
def test_winograd(sizes: tuple[int, ...]) -> None:
    batch, in_channels, out_channels, height, width, padding = sizes

    def function(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return F.conv2d(x, weight, bias, 1, padding)

    inputs = values((batch, in_channels, height, width), (out_channels, in_channels, 3, 3), (out_channels,))
    operators = {node.op_type for node in to_model(with_gradients(function), inputs).graph.node}
    assert not operators & {"Conv", "ConvTranspose"}
    assert_lowered_equals_float64(function, inputs, tolerance=5e-6)


class SmoothBlock(nn.Module):
    """Two 3x3 convolutions with batch norm and a shortcut, without the kinks of ReLU at which rounding turns gradients over."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(in_channels, out_channels, 3, 1, 1, bias=False), nn.BatchNorm2d(out_channels))
        self.second = nn.Sequential(nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False), nn.BatchNorm2d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(self.first(x))
        return torch.tanh(self.second(hidden) + hidden)


def test_whole_steps_keep_their_precision(tmp_path: Path) -> None:
    """Over twenty steps no state tensor strays by more than 2e-5 of its largest element."""
    torch.manual_seed(0)
    last = nn.Sequential(SmoothBlock(32, 32), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))
    network = BlockNetwork([SmoothBlock(1, 32), last], num_classes=10, input_shape=(1, 12, 12))
    export_bundle(network, rule=BLL(), optimizer=SGD(), batch_size=32, path=tmp_path / "b")
    operators = {node.op_type for node in onnx.load(tmp_path / "b" / "block1" / "step.onnx").graph.node}
    assert "Conv" not in operators
    rows = verify_bundle(tmp_path / "b", steps=20, tolerance=2e-5, network=network)
    assert [row for row in rows if row.failed or row.by_rounding] == []


def test_small_batches_stay_with_conv() -> None:
    model = to_model(lambda x, w: (F.conv2d(x, w, None, 1, 1),), values((1, 32, 8, 8), (32, 32, 3, 3)))
    assert [node.op_type for node in model.graph.node] == ["Conv"]


def test_forward_and_gradients_share_their_transforms() -> None:
    """Input, kernels and output gradient are each spread once: two products each, where two of three uses would repeat them."""
    model = to_model(with_gradients(lambda x, w: F.conv2d(x, w, None, 1, 1)), values((64, 32, 4, 4), (32, 32, 3, 3)))
    operators = [node.op_type for node in model.graph.node]
    # spread x, spread dy, collect y, collect dx: 2 each; channel products of y, dx, dw: 3. Kernels and their gradient: 1 each.
    assert operators.count("MatMul") == 11
    assert operators.count("Gemm") == 2


@pytest.mark.parametrize(("size", "padding"), [(4, 1), (7, 1), (14, 1), (9, 0), (5, 2), (6, 3)])
def test_tiled_axis_is_a_convolution(size: int, padding: int) -> None:
    out = size + 2 * padding - 2
    axis = tiled_axis(size, out, padding)
    rng = np.random.default_rng(0)
    x, taps = rng.standard_normal(size), rng.standard_normal(3)
    kernel = np.repeat(axis.kernel @ taps, axis.tiles)
    y = axis.spread_output.T @ (kernel * (axis.spread_input @ x))
    np.testing.assert_allclose(y, np.correlate(np.pad(x, padding), taps), atol=1e-12)


def test_toom_cook_refuses_a_wrong_number_of_points() -> None:
    with pytest.raises(ValueError, match="needs 5 finite points"):
        toom_cook(4, 3, [0.0, 1.0])


def _unfolds(model: onnx.ModelProto) -> bool:
    """Whether an input is unfolded by a Conv whose kernels are a constant."""
    constants = {tensor.name for tensor in model.graph.initializer}
    return any(node.op_type == "Conv" and node.input[1] in constants for node in model.graph.node)


def test_the_number_of_threads_reaches_the_choice_of_forms() -> None:
    def function(x: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(x, weight, None, 1, 1)

    inputs = values((2, 8, 6, 6), (4, 8, 3, 3))
    models = {n: to_model(with_gradients(function), inputs, make_target("onnx", threads=n)) for n in (None, 1, 2)}
    assert {n: _unfolds(model) for n, model in models.items()} == {None: False, 1: False, 2: True}


def test_only_graphs_with_gradients_unfold_the_forward_pass() -> None:
    def function(x: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(x, weight, None, 2, 1)

    inputs = values((4, 3, 8, 8), (5, 3, 3, 3))
    assert _unfolds(to_model(with_gradients(function), inputs))
    assert not _unfolds(to_model(lambda x, weight: (function(x, weight),), inputs))


def test_tensorrt_never_gets_forms_made_for_onnx_runtime() -> None:
    def function(x: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(x, weight, None, 2, 1)

    inputs = values((4, 3, 8, 8), (5, 3, 3, 3))
    assert not _unfolds(to_model(with_gradients(function), inputs, make_target("tensorrt-8.5")))
