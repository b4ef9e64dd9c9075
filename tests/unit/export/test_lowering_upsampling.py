"""Upsampling: value and gradient on ONNX Runtime against float64 autograd."""

from typing import Any

import pytest
from support.lowering_cases import Case, check_case
from torch.nn import functional as F

AXES = {"nearest": 2, "nearest-exact": 2, "linear": 1, "bilinear": 2, "trilinear": 3, "bicubic": 2}
#: Every way to say how large the result is, with and without aligned corners where that makes a difference.
SIZES: list[dict[str, Any]] = [{"scale_factor": 2}, {"scale_factor": 1.7}, {"size": 7}]
ALIGNED = [{**size, "align_corners": aligned} for size in SIZES for aligned in (False, True)]
OPTIONS = {mode: SIZES if mode.startswith("nearest") else ALIGNED for mode in AXES}


def upsampled(mode: str, axes: int = 0, **options: Any) -> Case:
    shape = (2, 3, *(3, 4, 2)[: axes or AXES[mode]])
    return lambda x: F.interpolate(x, mode=mode, **options), [shape]


CASES: dict[str, Case] = {
    **{f"{mode} {options}": upsampled(mode, **options) for mode in AXES for options in OPTIONS[mode]},
    "nearest over one axis": upsampled("nearest", 1, scale_factor=3),
    "nearest over three axes": upsampled("nearest", 3, scale_factor=2),
    "nearest-exact over one axis": upsampled("nearest-exact", 1, scale_factor=3),
    "nearest-exact over three axes": upsampled("nearest-exact", 3, scale_factor=2),
    "nearest, another factor for each axis": upsampled("nearest", scale_factor=(3, 2)),
    "nearest to a multiple": upsampled("nearest", size=(6, 4)),
    "another factor for each axis": upsampled("bilinear", scale_factor=(2.0, 1.5)),
    "smaller, smoothed": upsampled("bilinear", scale_factor=0.5, antialias=True),
}


@pytest.mark.parametrize("name", list(CASES))
def test_value_and_gradient(name: str) -> None:
    check_case(name, CASES[name])
