"""Functions that cannot be exported as steps, examples that do not fit, graphs that are wrong: all are told in a sentence."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from edgebll.kernel.errors import ConfigError, ExportError, VerifyError
from edgebll_export import export_step
from edgebll_export.functions import step_check

X = torch.linspace(-1, 1, 6).reshape(2, 3)


def results(function: Callable[..., Any], example: Any, **options: Any) -> dict[str, np.ndarray]:
    export = export_step(function, example, **options)
    assert tuple(value.name for value in export.model.graph.input) == export.inputs
    assert tuple(value.name for value in export.model.graph.output) == export.outputs
    return {name: np.asarray(error) for name, error in export.errors.items()}


MODEL = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 3))


def with_item(x: Tensor) -> Tensor:
    return x * x.sum().item()


def with_branch(x: Tensor) -> Tensor:
    return x if x.sum() > 0 else -x


def with_unknown_operator(x: Tensor) -> Tensor:
    y = x * 2
    return torch.special.bessel_j0(y)


def with_key_error(x: Tensor) -> Tensor:
    return {"a": x}["b"]


def in_place(x: Tensor) -> Tensor:
    x += 1
    return x


def through_a_view(x: Tensor) -> Tensor:
    x[0].zero_()
    return x * 2


def rarely_dropped(x: Tensor) -> Tensor:
    return x * (random.random() > 1e-9)


CALLS = itertools.count(1)


def counting(x: Tensor) -> Tensor:
    return x / next(CALLS)


BATCH_NORM, TOTAL = torch.nn.BatchNorm1d(3, affine=False), torch.zeros(2, 3)


def with_statistics_outside(x: Tensor) -> Tensor:
    return BATCH_NORM(x)


def with_total_outside(x: Tensor) -> Tensor:
    TOTAL.add_(x)
    return x * 2


def by_data(x: Tensor) -> Tensor:
    x.data.copy_(x + 1)
    return x * 2


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (with_item, r"with_item needs the value of a tensor .*\(line \d+ of test_step_export_refused.py\).*torch.where"),
        (with_branch, r"with_branch needs the value of a tensor .*\(line \d+ of test_step_export_refused.py\)"),
        (with_unknown_operator, r"bessel_j0\.default in line \d+ of test_step_export_refused.py.*no lowering"),
        (with_key_error, r"with_key_error fails on its example: KeyError: 'b' \(line \d+ of test_step_export_refused.py\)"),
        (in_place, "in_place changes its argument 'x' in place"),
        (through_a_view, "through_a_view changes its argument 'x' in place"),
        (with_statistics_outside, "with_statistics_outside changes a tensor that is not among its arguments"),
        (with_total_outside, "with_total_outside changes a tensor that is not among its arguments"),
        (by_data, "by_data changes its argument 'x' in place"),
        (
            lambda x: x + torch.randn(2, 3),
            r"draws random numbers \(aten.randn.default, in line \d+ of test_step_export_refused.py\).*pass them",
        ),
        (lambda x: F.dropout(x, 0.5), r"draws random numbers \(aten.*, in line \d+"),
        (lambda x: torch.rand_like(x), "draws random numbers"),
        (rarely_dropped, r"rarely_dropped draws random numbers from Python's random, .*as an argument"),
        (lambda x: x * np.random.rand(), r"<lambda> draws random numbers from numpy\.random, .*as an argument"),
        (
            counting,
            r"counting gives other results when it is called again on the same example; .*as an argument, and return it",
        ),
        (lambda x: MODEL(x), r"uses a trainable tensor \(4x3\) that is not among its arguments.*functional_call"),
        (lambda x: {"loss": 1.5}, "returns a float as 'loss'; return tensors only"),
        (lambda x: None, "returns no tensor"),
        (lambda x: {"a": {"b": x + 1}, "a.b": x + 2}, "two results of <lambda> would be called 'a.b'"),
    ],
)
def test_functions_that_cannot_be_exported_say_why(function: Callable[..., Any], words: str, tmp_path: Path) -> None:
    before = X.clone()
    with pytest.raises(ExportError, match=words) as caught:
        export_step(function, X, tmp_path / "step.onnx")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "step.onnx").exists()
    assert torch.equal(X, before)


@pytest.mark.parametrize(
    ("example", "words"),
    [
        ((), r"does not fit step\(x, y\): missing a required argument: 'x'"),
        ((X, X, X), "too many positional arguments"),
        ({"x": X, "z": X}, "'z'|'y'"),
        ((X, np.zeros(3)), "'y' of step's example is a ndarray; arguments hold tensors"),
        ((X, MODEL), "'y' of step's example is a Sequential"),
        ((1.0, 2.0), "holds no tensor"),
        ((X, {"a": {"b": X}, "a.b": X}), "two values of step's example would be called 'y.a.b'"),
        ((X, torch.zeros(2, dtype=torch.complex64)), "dtype complex64"),
        ((X, torch.zeros(2).to_sparse()), "ordinary tensor on the CPU"),
        ((X, torch.zeros(2, device="meta")), "ordinary tensor on the CPU"),
    ],
)
def test_examples_that_do_not_fit_say_why(example: Any, words: str) -> None:
    def step(x: Any, y: Any) -> Any:
        return x

    with pytest.raises(ConfigError, match=words):
        export_step(step, example)


def test_a_wrong_graph_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    original = step_check._run
    monkeypatch.setattr(step_check, "_run", lambda *a: {k: v * np.float32(1.001) for k, v in original(*a).items()})
    with pytest.raises(VerifyError, match=re.escape("'output' differs from PyTorch's by 0.001")):
        export_step(lambda x: x * 2, X, tmp_path / "step.onnx")
    assert not (tmp_path / "step.onnx").exists()
    export_step(lambda x: x * 2, X, tolerance=0.01)
    with pytest.raises(ConfigError, match="tolerance"):
        export_step(lambda x: x * 2, X, tolerance=0)


@pytest.mark.parametrize("wrong", [lambda v: v.astype(np.float64), lambda v: v[None]], ids=["dtype", "shape"])
def test_equal_values_of_another_kind_are_found(wrong: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    original = step_check._run
    monkeypatch.setattr(step_check, "_run", lambda *a: {k: wrong(v) for k, v in original(*a).items()})
    with pytest.raises(VerifyError, match="'output' differs from PyTorch's"):
        export_step(lambda x: x * 2, X)
