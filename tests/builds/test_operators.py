"""Value and gradient of every operator with a lowering build in NVIDIA's compiler, in float32, float16 and bfloat16.

Of the half precisions a quarter of the cases is built, others in each; all of them with ALL_BUILDS=1 (`make builds`).
"""

from __future__ import annotations

import os
import zlib

import pytest
import torch
from support import tensorrt_builds
from support.graphs import to_model, with_gradients
from support.lowering_cases import all_cases, case_inputs
from support.tensorrt_builds import build

from edgebll_export.targets import make_target

pytestmark = pytest.mark.skipif(not tensorrt_builds.AVAILABLE, reason=tensorrt_builds.WHY_NOT)

CASES = all_cases()
#: What TensorRT says of every integer input.
_INTEGERS = "Int64 binding"
#: Precision of the inputs -> the oldest target that has it.
TARGETS = {"float32": "tensorrt-8.5", "float16": "tensorrt-8.5", "bfloat16": "tensorrt-10"}


def chosen() -> list[tuple[str, str]]:
    """Case and precision of every build."""
    every = bool(os.environ.get("ALL_BUILDS"))
    pairs = [(name, dtype) for name in CASES for dtype in TARGETS]
    return [(n, d) for n, d in pairs if every or d == "float32" or zlib.crc32(f"{n} {d}".encode()) % 4 == 0]


@pytest.mark.parametrize(("name", "dtype"), chosen())
def test_it_builds_without_warnings(name: str, dtype: str) -> None:
    target = make_target(TARGETS[dtype])
    target = target.suited("bfloat16") if dtype == "bfloat16" else target
    inputs = [
        value.to(getattr(torch, dtype)) if value.is_floating_point() else value for value in case_inputs(name, CASES[name])
    ]
    model = to_model(with_gradients(CASES[name][0]), inputs, target)
    built = build(name, model.SerializeToString(), ("SM86",))
    assert built.engine
    assert [warning for warning in built.warnings if _INTEGERS not in warning] == []
