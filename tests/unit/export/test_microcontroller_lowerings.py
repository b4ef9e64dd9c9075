"""Layers in the forms for microcontrollers: value and gradients against float64 autograd, from listed operators alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support.graphs import assert_lowered_equals_float64, to_model, with_gradients
from support.lowering_cases import Case, all_cases, case_inputs
from support.small_networks import foreign_operators
from torch import Tensor
from torch.nn import functional as F

from edgebll.kernel.errors import ExportError
from edgebll_export import make_target

TARGET = make_target("microcontroller")
Shapes = list[tuple[int, ...]]
LAYERS: dict[str, tuple[Callable[..., Tensor], Shapes]] = {
    "linear": (F.linear, [(4, 5), (3, 5), (3,)]),
    "convolution": (lambda x, w, b: F.conv2d(x, w, b, padding=1), [(2, 3, 5, 6), (4, 3, 3, 3), (4,)]),
    "one axis, strided": (lambda x, w: F.conv1d(x, w, stride=2, padding=1), [(2, 3, 8), (4, 3, 3)]),
    "strided, with rest": (lambda x, w: F.conv2d(x, w, stride=(3, 2), padding=1), [(2, 2, 9, 8), (3, 2, 3, 3)]),
    "rest beyond the padding": (lambda x, w: F.conv2d(x, w, stride=3), [(2, 2, 5, 8), (3, 2, 2, 3)]),
    "dilated": (lambda x, w: F.conv2d(x, w, padding=2, dilation=2), [(2, 2, 6, 6), (3, 2, 3, 3)]),
    "strided and dilated": (lambda x, w: F.conv2d(x, w, stride=2, padding=2, dilation=3), [(2, 2, 9, 8), (3, 2, 3, 2)]),
    "grouped": (lambda x, w: F.conv2d(x, w, padding=1, groups=2), [(3, 4, 5, 5), (6, 2, 3, 3)]),
    "depthwise": (lambda x, w: F.conv2d(x, w, padding=1, stride=2, groups=4), [(3, 4, 6, 5), (4, 1, 3, 3)]),
    "depthwise, two filters": (lambda x, w: F.conv2d(x, w, groups=3), [(1, 3, 5, 5), (6, 1, 3, 3)]),
    "transposed": (
        lambda x, w: F.conv_transpose2d(x, w, stride=2, padding=1, output_padding=1),
        [(2, 3, 4, 4), (3, 2, 3, 3)],
    ),
    "average pooling": (lambda x: F.avg_pool2d(x, 2), [(2, 3, 6, 4)]),
    "average of padded windows": (lambda x: F.avg_pool2d(x, 3, 2, 1), [(2, 3, 6, 7)]),
    "average without padding": (lambda x: F.avg_pool2d(x, (7, 3), 2, (3, 1), count_include_pad=False), [(2, 3, 9, 7)]),
    "average by a divisor": (lambda x: F.avg_pool2d(x, 3, 2, 1, divisor_override=5), [(3, 6, 7)]),
    "average rounded up": (lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True), [(2, 3, 6, 7)]),
    "average over one axis": (lambda x: F.avg_pool1d(x, 3, 2, 1), [(2, 3, 8)]),
    "global average": (lambda x: F.adaptive_avg_pool2d(x, 1), [(2, 3, 4, 5)]),
    "adaptive, overlapping": (lambda x: F.adaptive_avg_pool2d(x, 3), [(2, 3, 16, 7)]),
    "adaptive, uneven": (lambda x: F.adaptive_avg_pool2d(x, (3, 2)), [(2, 3, 14, 5)]),
    "adaptive over one axis": (lambda x: F.adaptive_avg_pool1d(x, 4), [(2, 3, 10)]),
    "max pooling": (lambda x: F.max_pool2d(x, 2), [(2, 3, 6, 4)]),
    "max pooling with rest": (lambda x: F.max_pool2d(x, (2, 3)), [(2, 3, 7, 8)]),
    "max of padded windows": (lambda x: F.max_pool2d(x, 2, 2, 1), [(2, 3, 5, 6)]),
    "max of overlapping windows": (lambda x: F.max_pool2d(x, 3, 2, 1), [(2, 3, 7, 6)]),
    "max, dilated": (lambda x: F.max_pool2d(x, 2, 1, 0, 2), [(2, 3, 5, 6)]),
    "max over one axis": (lambda x: F.max_pool1d(x, 2), [(2, 3, 9)]),
    "adaptive max, uneven": (lambda x: F.adaptive_max_pool2d(x, (3, 2)), [(2, 3, 7, 5)]),
    "batch norm": (lambda x, w, b: F.batch_norm(x, None, None, w, b, True), [(4, 3, 5, 4), (3,), (3,)]),
    "layer norm": (lambda x, w, b: F.layer_norm(x, (5, 4), w, b), [(3, 5, 4), (5, 4), (5, 4)]),
    "group norm": (lambda x, w, b: F.group_norm(x, 2, w, b), [(3, 4, 5), (4,), (4,)]),
    "instance norm": (lambda x, w, b: F.instance_norm(x, weight=w, bias=b), [(3, 4, 5), (4,), (4,)]),
    "repetition": (lambda x: x.repeat(2, 3, 1), [(3, 4)]),
    "attention": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        [(2, 2, 5, 4), (2, 2, 5, 4), (2, 2, 5, 4)],
    ),
    "three parts": (lambda x: torch.stack([part * k for k, part in enumerate(x.chunk(3, 1), 1)]), [(4, 9)]),
    "concatenation": (lambda x, y: torch.cat([x, y.flip(1)], 1), [(3, 2, 4), (3, 5, 4)]),
    "padding cut off": (lambda x: F.pad(x, (-1, 2, 1, -1)), [(2, 5, 4)]),
    "upsampling": (lambda x: F.interpolate(x, scale_factor=2), [(2, 3, 3, 4)]),
    "rms norm": (lambda x, w: F.rms_norm(x, (5,), w), [(3, 5), (5,)]),
    "powers": (lambda x: x**3 + x**-2 + (x.abs() + 0.1) ** 2.5 + (x.abs() + 0.1) ** -1.3 + 2**x, [(3, 5)]),
    "largest, with ties": (lambda x: x.round().abs().amax((1, 2)) * x.mean((1, 2)), [(2, 3, 5)]),
    "place of the first largest": (lambda x: x * x.round().argmax(1, keepdim=True) + x.round().argmin(0), [(4, 5)]),
    "inverse": (lambda x: torch.linalg.inv(x @ x.mT + torch.eye(4)), [(4, 4)]),
    "largest of all": (lambda x: x * x.max(), [(4, 5)]),
    "rounded": (lambda x: (x * 8).round() * x, [(3, 5)]),
    "counted": (lambda x: x * (x > 0).sum(1, keepdim=True), [(3, 5)]),
    "whole numbers": (lambda x: x * (x.long() * 2 - 1).clamp(min=-2), [(3, 5)]),
    "truth": (lambda x: torch.where((x > 0).any(1, keepdim=True) ^ (x < 1).all(0), x, x * x), [(3, 5)]),
    "running sum": (lambda x: x.cumsum(1), [(3, 5)]),
}
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu, "relu6": F.relu6, "leaky": F.leaky_relu, "elu": F.elu, "selu": F.selu, "celu": F.celu,
    "sigmoid": torch.sigmoid, "tanh": torch.tanh, "gelu": F.gelu, "tanh gelu": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu, "mish": F.mish, "softplus": F.softplus, "log sigmoid": F.logsigmoid, "hard swish": F.hardswish,
    "hard sigmoid": F.hardsigmoid, "softmax": lambda x: x.softmax(-1), "log softmax": lambda x: x.log_softmax(0),
    "hard shrink": F.hardshrink, "clamp": lambda x: x.clamp(-1, 0.5), "maximum": lambda x: torch.maximum(x, x.flip(0)),
}  # fmt: skip


def check(function: Callable[..., Tensor], inputs: list[Tensor], tolerance: float = 2e-5) -> None:
    """Value and gradients are right, and made of listed operators."""
    assert not foreign_operators(to_model(with_gradients(function), inputs, TARGET))
    assert_lowered_equals_float64(function, inputs, tolerance, TARGET)


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str) -> None:
    function, shapes = LAYERS[name]
    generator = torch.Generator().manual_seed(1)
    inputs = [torch.randn(shape, generator=generator) for shape in shapes]
    check(function, [value.round() for value in inputs] if "max" in name else inputs)  # windows with several maxima


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name: str) -> None:
    check(ACTIVATIONS[name], [torch.randn((5, 7), generator=torch.Generator().manual_seed(1)) * 3])


def test_embeddings_of_int64() -> None:
    rows = torch.tensor([[0, 2, 1], [2, 2, 4]])
    check(lambda table: F.embedding(rows, table, padding_idx=4), [torch.randn(5, 3)])
    model = to_model(lambda table, index: (F.embedding(index, table),), [torch.randn(5, 3), rows], TARGET)
    assert [node.op_type for node in model.graph.node] == ["Gather"]


def test_bytes_of_pixels() -> None:
    function = lambda x, w: F.linear(x.to(w.dtype) / 255, w)  # noqa: E731
    check(function, [torch.arange(12, dtype=torch.uint8).reshape(3, 4), torch.randn(2, 4)])


FAMILIES = sorted(path.stem for path in Path(__file__).parent.glob("test_lowering_*.py"))
#: Of the families that mostly fit, the share of cases that do at the least; of sorting nothing does.
SHARES = {"order": 0.0, "elementwise": 0.5, "indexing": 0.5, "losses": 0.5}


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_every_lowering_is_right_or_refused(family: str) -> None:
    """The cases of all other tests of lowerings."""
    cases = {name: case for name, case in all_cases().items() if name.startswith(f"{family}:")}
    taken = [name for name, case in cases.items() if fits(name, case)]
    assert len(taken) >= SHARES.get(family.removeprefix("test_lowering_"), 0.7) * len(cases)


def fits(name: str, case: Case) -> bool:
    """Whether a case is taken; then it is right."""
    inputs = case_inputs(name, case)
    try:
        model = to_model(with_gradients(case[0]), inputs, TARGET)
    except ExportError as error:
        if "microcontroller" not in str(error):
            raise
        return False
    assert not foreign_operators(model), name
    assert_lowered_equals_float64(case[0], inputs, 5e-5, TARGET)
    return True
