"""The comparison of an exported function: rounding of ill-conditioned results is told apart from wrong results."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad
from torch.nn import functional as F

from edgebll.kernel.errors import VerifyError
from edgebll_export import export_step
from edgebll_export.functions import step_check

MODEL = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5, track_running_stats=False), nn.ReLU(), nn.Linear(5, 1))
Change = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]


def adam(p: dict[str, Tensor], m: dict[str, Tensor], v: dict[str, Tensor], t: Tensor, x: Tensor, y: Tensor) -> dict[str, Any]:
    """The first bias has a gradient of zero but for rounding, and Adam makes a step of full size of it."""
    gradient = grad(lambda p: F.mse_loss(functional_call(MODEL, p, (x,)), y))(p)
    t = t + 1
    m = {k: 0.9 * m[k] + 0.1 * g for k, g in gradient.items()}
    v = {k: 0.99 * v[k] + 0.01 * g * g for k, g in gradient.items()}
    steps = {k: m[k] / (1 - 0.9**t) / ((v[k] / (1 - 0.99**t)).sqrt() + 1e-8) for k in gradient}
    return {"p": {k: p[k] - 0.01 * step for k, step in steps.items()}, "m": m, "v": v, "t": t}


def example(seed: int, batch: int) -> tuple[Any, ...]:
    generator = torch.Generator().manual_seed(seed)
    params = {name: torch.randn(value.shape, generator=generator) for name, value in MODEL.named_parameters()}
    zeros = {name: torch.zeros_like(value) for name, value in params.items()}
    x, y = torch.randn(batch, 4, generator=generator), torch.randn(batch, 1, generator=generator)
    return params, zeros, zeros, torch.tensor(0.0), x, y


def changed(monkeypatch: pytest.MonkeyPatch, change: Change) -> None:
    """Let the graph have other results than it has."""
    original = step_check._run
    monkeypatch.setattr(step_check, "_run", lambda *arguments: change(original(*arguments)))


@pytest.mark.parametrize(("seed", "batch"), [(0, 4), (1, 16), (2, 64)])
def test_steps_along_rounding_pass_and_are_counted(seed: int, batch: int) -> None:
    comparison = export_step(adam, example(seed, batch)).comparison
    assert {name for name in comparison.by_rounding if not name.endswith("0.bias.next")} == set()
    assert 1 <= comparison.by_rounding["m.0.bias.next"] <= 5
    assert comparison.errors["m.0.bias.next"] > comparison.tolerance == 1e-4


@pytest.mark.parametrize("wrong", ["m.0.weight.next", "v.1.weight.next", "p.3.bias.next", "p.0.bias.next"])
def test_wrong_results_beside_them_are_found(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    changed(monkeypatch, lambda results: {**results, wrong: results[wrong] * np.float32(1.2)})
    with pytest.raises(VerifyError, match=rf"'{re.escape(wrong)}' differs from PyTorch's by [\d.e+]+ of what it computes"):
        export_step(adam, example(0, 16))


def test_the_tolerance_is_that_of_the_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    def half(w: Tensor, x: Tensor) -> Tensor:
        return (w.half() @ x.half()).float()

    inputs = tuple(torch.randn(4, 4, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    changed(monkeypatch, lambda results: {name: value * np.float32(1.004) for name, value in results.items()})
    assert export_step(half, inputs).comparison.tolerance == 5e-3
    with pytest.raises(VerifyError, match=r"by 0.004 of what it computes, more than 0.0001"):
        export_step(lambda w, x: w @ x, inputs)


def test_values_that_are_not_finite_must_be_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def step(x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.exp(1000 * x) * 1.1, (x - x) / (x - x)

    x = torch.tensor([-0.001, 0.5])
    assert export_step(step, x).errors["output1"] == 0.0
    changed(monkeypatch, lambda results: {**results, "output0": np.minimum(results["output0"], np.float32(3e38))})
    with pytest.raises(VerifyError, match="'output0' differs from PyTorch's by inf of what it computes"):
        export_step(step, x)


def test_whole_numbers_are_exact_and_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were labels moved, no comparison with them would hold, and any result would pass."""

    def step(x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return torch.where(labels == 1, x, -x).sum(), x > 0.5

    x, labels = torch.tensor([0.1, 0.7, 0.9]), torch.tensor([0.0, 1.0, 1.0])
    changed(monkeypatch, lambda results: {**results, "output0": -results["output0"]})
    with pytest.raises(VerifyError, match="'output0' differs"):
        export_step(step, (x, labels))


@pytest.mark.parametrize(("first", "passes"), [(0.5, True), (0.6, False)])
def test_comparisons_may_turn_only_where_rounding_turns_them(
    first: float, passes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed(monkeypatch, lambda results: {name: ~value for name, value in results.items()})
    x = torch.tensor([first])
    if passes:
        assert export_step(lambda x: x > 0.5, x).comparison.by_rounding == {"output": 1}
    else:
        with pytest.raises(VerifyError, match=r"'output' differs from PyTorch's in 1 of 1 elements"):
            export_step(lambda x: x > 0.5, x)
