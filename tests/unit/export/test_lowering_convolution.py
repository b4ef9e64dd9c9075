"""Convolutions over three axes and transposed ones: value and gradients on ONNX Runtime against float64 autograd."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
from support.lowering_cases import Case, check_case
from torch import Tensor
from torch.nn import functional as F


def quietly(call: Callable[..., Tensor], *arguments: Any, **options: Any) -> Tensor:
    """Without PyTorch's warning that it pads unevenly for "same" with an even kernel."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return call(*arguments, **options)


CASES: dict[str, Case] = {
    "conv3d": (lambda x, w, b: F.conv3d(x, w, b, padding=1), [(2, 3, 4, 5, 3), (4, 3, 3, 3, 3), (4,)]),
    "conv3d_stride": (lambda x, w: F.conv3d(x, w, None, (2, 1, 2), (1, 0, 1)), [(2, 3, 5, 4, 6), (4, 3, 3, 2, 3)]),
    "conv3d_dilation": (lambda x, w: F.conv3d(x, w, None, 2, 1, 2), [(1, 2, 6, 7, 6), (3, 2, 3, 3, 2)]),
    "conv3d_groups": (lambda x, w, b: F.conv3d(x, w, b, groups=2), [(2, 4, 4, 3, 3), (6, 2, 2, 2, 2), (6,)]),
    "conv3d_depthwise": (lambda x, w: F.conv3d(x, w, None, 2, 1, groups=3), [(2, 3, 4, 5, 4), (3, 1, 3, 3, 3)]),
    "conv3d_pointwise": (lambda x, w: F.conv3d(x, w), [(2, 3, 2, 3, 2), (4, 3, 1, 1, 1)]),
    "conv2d_same": (lambda x, w: quietly(F.conv2d, x, w, padding="same"), [(2, 3, 5, 6), (4, 3, 4, 3)]),
    "conv2d_same_dilation": (lambda x, w: quietly(F.conv2d, x, w, padding="same", dilation=3), [(2, 3, 7, 6), (4, 3, 2, 3)]),
    "conv1d_same": (lambda x, w: quietly(F.conv1d, x, w, padding="same"), [(2, 3, 5), (4, 3, 4)]),
    "conv2d_valid": (lambda x, w: F.conv2d(x, w, padding="valid"), [(2, 3, 5, 6), (4, 3, 4, 3)]),
    "conv2d_stride_beyond_kernel": (lambda x, w: F.conv2d(x, w, None, (4, 3)), [(2, 3, 10, 9), (4, 3, 2, 1)]),
    "conv2d_kernel_of_whole_image": (lambda x, w: F.conv2d(x, w), [(2, 3, 4, 5), (4, 3, 4, 5)]),
    "conv2d_padding_beyond_kernel": (lambda x, w: F.conv2d(x, w, None, 2, 3), [(2, 3, 4, 5), (4, 3, 2, 1)]),
    "conv2d_one_sample_without_batch": (lambda x, w, b: F.conv2d(x, w, b, padding=1), [(3, 5, 5), (4, 3, 3, 3), (4,)]),
    "conv2d_depthwise_dilated": (lambda x, w: F.conv2d(x, w, None, 2, 2, 2, 4), [(2, 4, 9, 8), (8, 1, 3, 3)]),
    "conv2d_of_a_broadcast": (lambda x, w: F.conv2d(x.expand(2, 3, 5, 5), w), [(2, 1, 5, 5), (4, 3, 3, 3)]),
    "transposed1d": (lambda x, w, b: F.conv_transpose1d(x, w, b), [(2, 3, 5), (3, 4, 3), (4,)]),
    "transposed1d_all": (lambda x, w, b: F.conv_transpose1d(x, w, b, 3, 2, 1, 2, 2), [(2, 4, 5), (4, 3, 3), (6,)]),
    "transposed2d": (lambda x, w, b: F.conv_transpose2d(x, w, b), [(2, 3, 4, 5), (3, 4, 3, 2), (4,)]),
    "transposed2d_stride": (lambda x, w, b: F.conv_transpose2d(x, w, b, 2, 1), [(2, 3, 4, 5), (3, 4, 3, 3), (4,)]),
    "transposed2d_output_padding": (
        lambda x, w, b: F.conv_transpose2d(x, w, b, (2, 3), (1, 0), (1, 2)),
        [(2, 3, 4, 3), (3, 4, 3, 2), (4,)],
    ),
    "transposed2d_groups": (lambda x, w: F.conv_transpose2d(x, w, None, 2, 1, 1, 2), [(2, 4, 4, 4), (4, 3, 3, 3)]),
    "transposed2d_depthwise": (lambda x, w: F.conv_transpose2d(x, w, None, 2, 1, 0, 4), [(2, 4, 4, 4), (4, 1, 4, 4)]),
    "transposed2d_dilation": (lambda x, w: F.conv_transpose2d(x, w, None, 1, 2, 0, 1, 2), [(2, 3, 5, 4), (3, 4, 3, 3)]),
    "transposed2d_strided_and_dilated": (
        lambda x, w: F.conv_transpose2d(x, w, None, 2, 1, 1, 1, 2),
        [(2, 3, 4, 4), (3, 2, 3, 3)],
    ),
    "transposed2d_output_padding_beyond_stride": (
        lambda x, w, b: F.conv_transpose2d(x, w, b, (1, 2), 1, (2, 3), 1, (3, 4)),
        [(2, 3, 4, 4), (3, 2, 2, 3), (2,)],
    ),
    "transposed2d_pointwise": (lambda x, w: F.conv_transpose2d(x, w, None, 2), [(2, 3, 4, 4), (3, 2, 1, 1)]),
    "transposed2d_large": (lambda x, w, b: F.conv_transpose2d(x, w, b, 1, 1), [(16, 16, 8, 8), (16, 16, 3, 3), (16,)]),
    "transposed3d": (
        lambda x, w, b: F.conv_transpose3d(x, w, b, (2, 1, 2), 1, (1, 0, 0), 2),
        [(2, 4, 3, 3, 2), (4, 2, 3, 2, 3), (4,)],
    ),
    "transposed3d_dilation": (lambda x, w: F.conv_transpose3d(x, w, None, 2, 1, 1, 1, 2), [(1, 2, 3, 2, 3), (2, 3, 2, 3, 2)]),
}


@pytest.mark.parametrize("name", list(CASES))
def test_value_and_gradient(name: str) -> None:
    check_case(name, CASES[name])
