"""Convolutions and pooling of any geometry: value and gradients on ONNX Runtime against float64 autograd.

A third of those over one and two axes also in the forms for microcontrollers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from support.graphs import assert_lowered_equals_float64
from torch import Tensor
from torch.nn import functional as F

from edgebll_export import make_target

Sizes = tuple[int, ...]
TARGETS = [make_target("onnx"), make_target("microcontroller")]


def sizes(draw: st.DrawFn, axes: int, low: int, high: int) -> Sizes:
    return tuple(draw(st.lists(st.integers(low, high), min_size=axes, max_size=axes)))


def tensor(*shape: int) -> Tensor:
    """Positive numbers: sums that all but cancel would show rounding only."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(len(shape))) + 0.1


def ties(*shape: int) -> Tensor:
    """Whole numbers, so that windows often hold their maximum more than once."""
    return torch.randint(-2, 3, shape, generator=torch.Generator().manual_seed(len(shape))).float()


@st.composite
def convolutions(draw: st.DrawFn) -> dict[str, Any]:
    axes = draw(st.integers(1, 3))
    space, kernel = sizes(draw, axes, 1, 7 - axes), sizes(draw, axes, 1, 3)
    stride, padding, dilation = sizes(draw, axes, 1, 3), sizes(draw, axes, 0, 3), sizes(draw, axes, 1, 2)
    channels = draw(st.integers(1, 2)), draw(st.integers(1, 2)), draw(st.integers(1, 3))
    return {
        "axes": axes,
        "space": space,
        "kernel": kernel,
        "options": {"stride": stride, "padding": padding, "dilation": dilation, "groups": channels[2]},
        "channels": channels,
        "batch": draw(st.integers(1, 3)),
        "bias": draw(st.booleans()),
    }


def _check_targets(function: Callable[..., Tensor], inputs: list[Tensor], axes: int) -> None:
    both = axes < 3 and sum(inputs[0].shape) % 3 == 0
    for target in TARGETS if both else TARGETS[:1]:
        assert_lowered_equals_float64(function, inputs, target=target)


def _reach(case: dict[str, Any]) -> list[int]:
    return [d * (k - 1) + 1 for k, d in zip(case["kernel"], case["options"]["dilation"], strict=True)]


def _check(case: dict[str, Any], name: str, shapes: list[Sizes], **options: Any) -> None:
    function = getattr(F, f"{name}{case['axes']}d")
    inputs = [tensor(*shape) for shape in (shapes if case["bias"] else shapes[:2])]
    _check_targets(lambda *values: function(*values, **case["options"], **options), inputs, case["axes"])


@settings(max_examples=40, deadline=None)
@given(convolutions())
def test_convolution(case: dict[str, Any]) -> None:
    rows = zip(case["space"], case["options"]["padding"], _reach(case), strict=True)
    assume(all(n + 2 * p >= reach for n, p, reach in rows))
    wide_in, wide_out, groups = case["channels"]
    x = (case["batch"], groups * wide_in, *case["space"])
    _check(case, "conv", [x, (groups * wide_out, wide_in, *case["kernel"]), (groups * wide_out,)])


@settings(max_examples=40, deadline=None)
@given(convolutions(), st.data())
def test_transposed_convolution(case: dict[str, Any], data: st.DataObject) -> None:
    options = case["options"]
    limits = [max(s, d) - 1 for s, d in zip(options["stride"], options["dilation"], strict=True)]
    extra = tuple(data.draw(st.integers(0, limit)) for limit in limits)
    rows = zip(case["space"], options["stride"], options["padding"], _reach(case), strict=True)
    assume(all((n - 1) * s + reach - 2 * p >= 1 for n, s, p, reach in rows))
    wide_in, wide_out, groups = case["channels"]
    x = (case["batch"], groups * wide_in, *case["space"])
    shapes = [x, (groups * wide_in, wide_out, *case["kernel"]), (groups * wide_out,)]
    _check(case, "conv_transpose", shapes, output_padding=extra)


@st.composite
def poolings(draw: st.DrawFn) -> dict[str, Any]:
    axes = draw(st.integers(1, 3))
    space, kernel, stride = sizes(draw, axes, 1, 8 - axes), sizes(draw, axes, 1, 4 - axes // 3), sizes(draw, axes, 1, 3)
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    stride = draw(st.sampled_from([stride, kernel]))
    return {"axes": axes, "space": space, "kernel": kernel, "stride": stride, "padding": padding, "ceil": draw(st.booleans())}


def _sees(case: dict[str, Any], dilation: Sizes, ceil: int) -> bool:
    """Whether every window of a maximum sees an element."""
    rows = zip(case["space"], case["kernel"], case["stride"], case["padding"], dilation, strict=True)
    return all(
        any(0 <= start - p + tap * d < n for tap in range(k))
        for n, k, s, p, d in rows
        for start in range(0, n + 2 * p - d * (k - 1) + ceil * (s - 1), s)
        if start < n + p or not ceil
    )


def _fits(case: dict[str, Any], dilation: Sizes) -> bool:
    rows = zip(case["space"], case["kernel"], case["padding"], dilation, strict=True)
    return all(n + 2 * p >= d * (k - 1) + 1 for n, k, p, d in rows)


@settings(max_examples=40, deadline=None)
@given(poolings(), st.data())
def test_max_pooling(case: dict[str, Any], data: st.DataObject) -> None:
    dilation = tuple(data.draw(st.sampled_from([1, 1, 2])) for _ in case["space"])
    assume(_fits(case, dilation) and _sees(case, dilation, int(case["ceil"])))
    function = getattr(F, f"max_pool{case['axes']}d")
    options = (case["kernel"], case["stride"], case["padding"], dilation, case["ceil"])
    _check_targets(lambda x: function(x, *options), [ties(2, 3, *case["space"])], case["axes"])


@settings(max_examples=40, deadline=None)
@given(poolings(), st.booleans(), st.sampled_from([None, 3]))
def test_average_pooling(case: dict[str, Any], count_padding: bool, divisor: int | None) -> None:
    assume(_fits(case, (1,) * case["axes"]))
    assume(case["axes"] < 3 or all(n >= k for n, k in zip(case["space"], case["kernel"], strict=True)))  # PyTorch's limit
    function = getattr(F, f"avg_pool{case['axes']}d")
    options = [case["kernel"], case["stride"], case["padding"], case["ceil"], count_padding]
    if case["axes"] > 1:
        options.append(divisor)
    _check_targets(lambda x: function(x, *options), [tensor(2, 3, *case["space"])], case["axes"])


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["max", "avg"]), st.lists(st.tuples(st.integers(1, 7), st.integers(1, 8)), min_size=1, max_size=3))
@example("avg", [(1, 2)])
def test_adaptive_pooling(kind: str, axes: list[tuple[int, int]]) -> None:
    function = getattr(F, f"adaptive_{kind}_pool{len(axes)}d")
    x = ties(2, 3, *(size for size, _ in axes))
    _check_targets(lambda x: function(x, tuple(cells for _, cells in axes)), [x], len(axes))
