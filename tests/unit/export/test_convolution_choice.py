"""Every form of the gradients of a convolution against float64, wherever the rule would choose it, and the rule itself."""

import numpy as np
import pytest
import torch
from support.graphs import run_model
from torch.nn import functional as F

from edgebll_export.graph.builder import GraphBuilder
from edgebll_export.lowering.convolution import convolution
from edgebll_export.lowering.convolution import form_choice as convolution_choice
from edgebll_export.lowering.convolution.geometry import ConvolutionGeometry


def geometry(
    batch: int, channels: int, out_channels: int, size: int, kernel: int = 3, stride: int = 1, groups: int = 1
) -> ConvolutionGeometry:
    padding = kernel // 2
    out = (size + 2 * padding - kernel) // stride + 1
    pairs = [(number, number) for number in (size, out, kernel, stride, padding, 1)]
    return ConvolutionGeometry(batch, channels, out_channels, groups, *pairs)


SHAPES = {
    "3x3": geometry(2, 3, 5, 7),
    "3x3, one sample": geometry(1, 4, 6, 5),
    "3x3, stride 2": geometry(3, 3, 4, 8, stride=2),
    "5x5": geometry(2, 2, 3, 6, kernel=5),
    "1x1": geometry(3, 4, 2, 5, kernel=1),
    "1x1, stride 2": geometry(3, 4, 2, 6, kernel=1, stride=2),
}

DEPTHWISE = {
    "3x3": geometry(2, 3, 3, 7, groups=3),
    "3x3, stride 2": geometry(2, 4, 4, 8, stride=2, groups=4),
    "3x3, stride 2, odd": geometry(1, 4, 4, 7, stride=2, groups=4),
    "two filters a channel": geometry(3, 3, 6, 5, groups=3),
    "two filters a channel, stride 2": geometry(3, 3, 6, 6, stride=2, groups=3),
    "5x5": geometry(2, 2, 2, 6, kernel=5, groups=2),
}


@pytest.mark.parametrize("name", SHAPES)
def test_outputs_by_unfolding(name: str) -> None:
    check(SHAPES[name], "y", "unfolded")


@pytest.mark.parametrize("form", ["direct", "transposed"])
@pytest.mark.parametrize("name", SHAPES)
def test_input_gradients(name: str, form: str) -> None:
    check(SHAPES[name], "dx", form)


@pytest.mark.parametrize("form", ["taps", "columns", "unfolded"])
@pytest.mark.parametrize("name", SHAPES)
def test_weight_gradients(name: str, form: str) -> None:
    check(SHAPES[name], "dw", form)


@pytest.mark.parametrize("name", ["1x1", "1x1, stride 2"])
def test_weight_gradient_by_samples(name: str) -> None:
    check(SHAPES[name], "dw", "samples")


@pytest.mark.parametrize("form", ["taps", "products", "planes"])
@pytest.mark.parametrize("name", DEPTHWISE)
def test_weight_gradients_of_depthwise_convolutions(name: str, form: str) -> None:
    check(DEPTHWISE[name], "dw", form)


@pytest.mark.parametrize(("wanted", "form"), [("dw", "bands"), ("y", "dense"), ("dx", "dense"), ("dw", "dense")])
@pytest.mark.parametrize("name", [name for name, sizes in DEPTHWISE.items() if sizes.in_channels == sizes.out_channels])
def test_depthwise_convolutions_of_one_filter_a_channel(name: str, wanted: str, form: str) -> None:
    check(DEPTHWISE[name], wanted, form)


def check(sizes: ConvolutionGeometry, wanted: str, form: str) -> None:
    rng = np.random.default_rng(0)
    shapes = {"x": sizes.in_shape, "w": sizes.weight_shape, "dy": sizes.out_shape}
    arrays = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    g = GraphBuilder()
    values = {name: g.input(name, "float32", shape) for name, shape in shapes.items()}
    if wanted == "y":
        result = convolution.FORWARDS[form](g, values["x"], values["w"], sizes)
    elif wanted == "dx":
        result = convolution.INPUT_GRADIENTS[form](g, values["dy"], values["w"], sizes)
    else:
        result = convolution.WEIGHT_GRADIENTS[form](g, values["dy"], values["x"], sizes)
    g.output("result", result)
    actual = run_model(g.build("test"), arrays)["result"]
    leaves = {name: torch.tensor(arrays[name], dtype=torch.float64, requires_grad=True) for name in ("x", "w")}
    y = F.conv2d(leaves["x"], leaves["w"], None, sizes.stride, sizes.padding, 1, sizes.groups)
    y.backward(torch.tensor(arrays["dy"], dtype=torch.float64))
    exact = {"y": y.detach(), "dx": leaves["x"].grad, "dw": leaves["w"].grad}[wanted]
    assert exact is not None
    np.testing.assert_allclose(actual, exact.numpy(), atol=2e-5 * float(exact.abs().max()), rtol=0)


@pytest.mark.parametrize(
    ("sizes", "forms"),
    [
        (geometry(1, 512, 512, 4), ("direct", "transposed", "columns")),
        (geometry(1, 64, 64, 14), ("direct", "transposed", "taps")),
        (geometry(8, 256, 256, 7), ("winograd", "winograd", "taps")),
        (geometry(64, 512, 512, 4), ("winograd", "winograd", "winograd")),
        (geometry(64, 1, 16, 28), ("direct", "transposed", "unfolded")),
        (geometry(64, 3, 32, 32, stride=2), ("unfolded", "transposed", "unfolded")),
        (geometry(64, 32, 64, 28, stride=2), ("direct", "transposed", "taps")),
        (geometry(64, 64, 128, 14, kernel=1), ("direct", "direct", "samples")),
        (geometry(64, 128, 128, 7, kernel=1), ("direct", "direct", "taps")),
        (geometry(64, 256, 256, 7, kernel=5), ("direct", "direct", "taps")),
        (geometry(8, 64, 64, 14, stride=2), ("direct", "transposed", "taps")),
        (geometry(8, 32, 64, 14, groups=4), ("direct", "transposed", "taps")),
        (geometry(8, 32, 32, 14, groups=32), ("direct", "transposed", "bands")),
        (geometry(8, 32, 32, 14, stride=2, groups=32), ("direct", "transposed", "bands")),
        (geometry(8, 32, 32, 112, groups=32), ("direct", "transposed", "products")),
        (geometry(8, 32, 32, 7, groups=32), ("dense", "dense", "dense")),
        (geometry(64, 32, 32, 7, groups=32), ("dense", "dense", "dense")),
        (geometry(64, 32, 32, 14, groups=32), ("dense", "dense", "dense")),
        (geometry(64, 32, 32, 28, groups=32), ("direct", "transposed", "bands")),
        (geometry(8, 32, 64, 14, groups=32), ("direct", "transposed", "products")),
        (geometry(8, 32, 64, 14, stride=2, groups=32), ("direct", "transposed", "planes")),
    ],
    ids=str,
)
def test_the_rule_follows_the_measurements(sizes: ConvolutionGeometry, forms: tuple[str, str, str]) -> None:
    assert chosen(sizes, convolution_choice.FormSetting(matrices=True)) == forms


@pytest.mark.parametrize(
    ("sizes", "forms"),
    [
        (geometry(64, 16, 16, 28), ("direct", "transposed", "unfolded")),
        (geometry(64, 32, 64, 28, stride=2), ("unfolded", "transposed", "unfolded")),
        (geometry(64, 128, 256, 14, stride=2), ("direct", "transposed", "taps")),
        (geometry(64, 32, 32, 14, stride=2, groups=32), ("dense", "dense", "dense")),
        (geometry(64, 32, 32, 28, groups=32), ("direct", "direct", "bands")),
        (geometry(8, 32, 32, 14, stride=2, groups=32), ("direct", "transposed", "planes")),
    ],
    ids=str,
)
def test_with_two_threads_forms_that_share_the_work_are_taken(sizes: ConvolutionGeometry, forms: tuple[str, str, str]) -> None:
    assert chosen(sizes, convolution_choice.FormSetting(matrices=True, threads=2)) == forms


@pytest.mark.parametrize("sizes", [geometry(64, 64, 64, 14), geometry(64, 3, 32, 32, stride=2)], ids=str)
def test_without_forms_by_matrices_the_next_best_is_taken(sizes: ConvolutionGeometry) -> None:
    assert chosen(sizes, convolution_choice.FormSetting(matrices=False)) == ("direct", "transposed", "taps")


def test_a_forward_pass_alone_is_not_unfolded() -> None:
    sizes = geometry(64, 3, 32, 32, stride=2)
    assert convolution_choice.forward_form(sizes, convolution_choice.FormSetting(matrices=True, trains=False)) == "direct"


def chosen(sizes: ConvolutionGeometry, setting: convolution_choice.FormSetting) -> tuple[str, str, str]:
    choice = convolution_choice
    gradients = choice.input_gradient_form(sizes, setting), choice.weight_gradient_form(sizes, setting)
    return choice.forward_form(sizes, setting), *gradients
