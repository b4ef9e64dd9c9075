"""Exporting functions of others: what their trees become, what is computed, and what is refused in one sentence."""

from __future__ import annotations

import copy
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from support.graphs import run_model
from torch import Tensor
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from edgebll_export import export_step

X = torch.linspace(-1, 1, 6).reshape(2, 3)


W = torch.linspace(0.5, 2, 6).reshape(2, 3)


def results(function: Callable[..., Any], example: Any, **options: Any) -> dict[str, np.ndarray]:
    export = export_step(function, example, **options)
    assert tuple(value.name for value in export.model.graph.input) == export.inputs
    assert tuple(value.name for value in export.model.graph.output) == export.outputs
    return {name: np.asarray(error) for name, error in export.errors.items()}


def test_names_are_paths() -> None:
    Pair = namedtuple("Pair", ["left", "right"])

    def step(params: Any, batch: Any, *, rates: Any) -> Any:
        loss = (params["conv.weight"] * batch[0]).sum() + batch[1].right * batch[1].left
        return {"params": {"conv.weight": params["conv.weight"] - rates["lr"]}, "loss": loss, "pair": Pair(loss, [loss])}

    batch = (X, Pair(torch.tensor(1.0), torch.tensor(2.0)))
    example = {"params": {"conv.weight": W}, "batch": batch, "rates": {"lr": torch.tensor(0.1)}}
    export = export_step(step, example)
    assert export.inputs == ("params.conv.weight", "batch.0", "batch.1.left", "batch.1.right", "rates.lr")
    assert export.outputs == ("params.conv.weight.next", "loss", "pair.left", "pair.right.0")
    assert set(export.errors) == set(export.outputs)


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (lambda x: x * 2, ("output",)),
        (lambda x: (x * 2, x + 1), ("output0", "output1")),
        (lambda x: [x * 2, {"a": x + 1}], ("output0", "output1.a")),
        (lambda x: {"x": x * 2, "y": None}, ("x.next",)),
        (lambda x: {"x": x}, ("x.next",)),
    ],
)
def test_results_of_every_form_have_names(function: Callable[..., Any], names: tuple[str, ...]) -> None:
    assert export_step(function, X).outputs == names


def test_a_named_tuple_or_list_is_one_argument() -> None:
    Pair = namedtuple("Pair", ["left", "right"])
    assert export_step(lambda pair: pair.left + pair.right, Pair(X, W)).inputs == ("pair.left", "pair.right")
    assert export_step(lambda pair: pair[0] + pair[1], [X, W]).inputs == ("pair.0", "pair.1")


@dataclass(frozen=True)
class State:
    weight: Tensor
    rate: Tensor | float
    inner: Any = None


def test_dataclasses_are_trees() -> None:
    def step(state: State, x: Tensor) -> State:
        return State(state.weight - state.rate * x, state.rate * x, State(x + state.inner.weight, x))

    export = export_step(step, (State(W, 0.5, State(W, 0.25)), X))
    assert export.inputs == ("state.weight", "state.inner.weight", "x")
    assert export.outputs == ("weight", "rate", "inner.weight", "inner.rate")
    assert export.fixed == {"state.rate": 0.5, "state.inner.rate": 0.25}


def test_names_of_the_graph_never_meet_those_inside() -> None:
    """Inside, values are v1, v2... and constants c0, c1..."""

    def step(v1: Tensor, c0: Tensor, v3: Tensor) -> dict[str, Tensor]:
        return {"v2": (v1 * 3.5 + c0).tanh(), "c1": (v3 - 7.25).exp(), "v4": v1.sum()}

    export = export_step(step, (X, W, X))
    assert export.outputs == ("v2", "c1", "v4")


def test_numbers_stay_fixed_and_unused_tensors_out() -> None:
    def step(x: Tensor, y: Tensor, scale: float, mode: str, bias: Tensor | None = None) -> Tensor:
        return x * scale if mode == "scaled" and bias is None else y

    export = export_step(step, (X, W, 3.0, "scaled"))
    assert (export.inputs, export.unused, export.fixed) == (("x",), ("y",), {"scale": 3.0, "mode": "scaled"})
    np.testing.assert_array_equal(run_model(export.model, {"x": X.numpy()})["output"], 3 * X.numpy())


MODEL = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 3))


def loss_of(params: dict[str, Tensor], x: Tensor) -> Tensor:
    return functional_call(MODEL, params, (x,)).square().mean()


def by_func_grad(params: dict[str, Tensor], x: Tensor) -> dict[str, Any]:
    return {"grads": grad(loss_of)(params, x)}


def by_autograd(params: dict[str, Tensor], x: Tensor) -> dict[str, Any]:
    """Relies on the example's parameters requiring a gradient."""
    found = torch.autograd.grad(loss_of(params, x), list(params.values()))
    return {"grads": dict(zip(params, found, strict=True))}


def by_detached_leaves(params: dict[str, Tensor], x: Tensor) -> dict[str, Any]:
    leaves = {name: value.detach().requires_grad_() for name, value in params.items()}
    found = torch.autograd.grad(loss_of(leaves, x), list(leaves.values()))
    return {"grads": dict(zip(params, found, strict=True))}


def by_backward(params: dict[str, Tensor], x: Tensor) -> dict[str, Any]:
    leaves = {name: value.detach().clone().requires_grad_() for name, value in params.items()}
    loss_of(leaves, x).backward()
    return {"grads": {name: value.grad for name, value in leaves.items()}}


def per_sample(params: dict[str, Tensor], x: Tensor) -> dict[str, Any]:
    each = vmap(grad(loss_of), in_dims=(None, 0))(params, x)
    return {"grads": {name: value.mean(0) for name, value in each.items()}}


@pytest.mark.parametrize("function", [by_func_grad, by_autograd, by_detached_leaves, by_backward, per_sample])
def test_gradients_of_every_style_equal_float64(function: Callable[..., Any]) -> None:
    params = dict(MODEL.named_parameters())
    export = export_step(function, (params, X))
    double = {name: value.detach().double().requires_grad_() for name, value in params.items()}
    expected = torch.autograd.grad(loss_of(double, X.double()), list(double.values()))
    inputs = {**{f"params.{name}": value.detach().numpy() for name, value in params.items()}, "x": X.numpy()}
    actual = run_model(export.model, {name: inputs[name] for name in export.inputs})
    for name, value in zip(params, expected, strict=True):
        np.testing.assert_allclose(actual[f"grads.{name}"], value.numpy(), rtol=1e-4, atol=1e-6)
    assert all(value.grad is None for value in params.values())


def test_own_tensors_may_be_written_and_constants_used() -> None:
    mean = torch.tensor([1.0, 2.0, 3.0])

    def step(x: Tensor) -> Tensor:
        y = x - mean
        y[:, 0] = 5.0
        y.mul_(2).add_(torch.tensor([[1.0]]))
        return y

    export = export_step(step, X)
    expected = 2 * (X - mean)
    expected[:, 0] = 10
    np.testing.assert_allclose(run_model(export.model, {"x": X.numpy()})["output"], (expected + 1).numpy(), rtol=1e-6)


def test_buffers_are_arguments_and_results() -> None:
    """Integer counters too; and torch.optim works inside, for what it makes itself."""
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1))

    def step(params: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> dict[str, Any]:
        buffers = {name: value.clone() for name, value in buffers.items()}
        leaves = {name: value.detach().clone().requires_grad_() for name, value in params.items()}
        optimizer = torch.optim.SGD(leaves.values(), lr=0.1)
        loss = functional_call(model, {**leaves, **buffers}, (x,)).square().mean()
        loss.backward()
        optimizer.step()
        return {"params": leaves, "buffers": buffers, "loss": loss}

    export = export_step(step, (dict(model.named_parameters()), dict(model.named_buffers()), torch.randn(5, 3)))
    assert "buffers.1.num_batches_tracked.next" in export.outputs
    reference = copy.deepcopy(model)
    x = torch.randn(5, 3)
    optimizer = torch.optim.SGD(reference.parameters(), lr=0.1)
    reference(x).square().mean().backward()
    state = {**{f"params.{n}": v for n, v in model.named_parameters()}, **{f"buffers.{n}": v for n, v in model.named_buffers()}}
    actual = run_model(export.model, {**{name: value.detach().numpy() for name, value in state.items()}, "x": x.numpy()})
    optimizer.step()
    for name, value in reference.state_dict().items():
        (found,) = [actual[key] for key in (f"params.{name}.next", f"buffers.{name}.next") if key in actual]
        np.testing.assert_allclose(found, value.numpy(), rtol=1e-5, atol=1e-6)


def test_integers_truth_values_and_nan_are_compared_exactly() -> None:
    def step(x: Tensor, n: Tensor) -> dict[str, Tensor]:
        return {"more": n + 1, "positive": x > 0, "log": x.log()}

    assert results(step, (X, torch.tensor([1, 2]))) == {"more": 0.0, "positive": 0.0, "log": pytest.approx(0, abs=1e-6)}


def test_the_file_is_the_model_and_a_target_shapes_it(tmp_path: Path) -> None:
    export = export_step(lambda x: F.softmax(x, 1), X, tmp_path / "step.onnx", target="tensorrt-8.5")
    assert onnx.load(tmp_path / "step.onnx") == export.model
    assert export_step(lambda x: x + 1, X, check=False).errors == {}
