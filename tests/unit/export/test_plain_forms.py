"""Operators written with others for compact targets: values against PyTorch in float64, far from zero too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from support.graphs import run_model
from support.small_networks import foreign_operators
from torch import Tensor
from torch.nn import functional as F

from edgebll_export import make_target
from edgebll_export.bundles.block_models import check_model
from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.passes.plain_forms import FORMS
from edgebll_export.targets.microcontroller import operator_list

TARGET = make_target("microcontroller")
#: Around zero, at halves and whole numbers, and where exponentials are beyond float32.
X = np.concatenate([np.linspace(-4, 4, 65), [-500.0, -90.0, -30.0, -12.5, 12.5, 30.0, 90.0, 500.0, 0.0]]).astype(np.float32)
Y = np.roll(X, 7)
Y[::5] = X[::5]
CASES: dict[str, tuple[dict[str, Any], Callable[..., Tensor]]] = {
    "Ceil": ({}, torch.ceil),
    "Elu": ({"alpha": 0.7}, lambda x: F.elu(x, 0.7)),
    "Erf": ({}, torch.erf),
    "HardSigmoid": ({"alpha": 1 / 6, "beta": 0.5}, F.hardsigmoid),
    "LeakyRelu": ({"alpha": 1.5}, lambda x: F.leaky_relu(x, 1.5)),
    "Round": ({}, torch.round),
    "Sigmoid": ({}, torch.sigmoid),
    "Sign": ({}, torch.sign),
    "Softplus": ({}, lambda x: torch.logaddexp(x, torch.zeros_like(x))),
    "Tanh": ({}, torch.tanh),
}
COMPARISONS = {"Less": np.less, "LessOrEqual": np.less_equal, "GreaterOrEqual": np.greater_equal}


def result_of(build: Callable[[GraphBuilder, Value, Value], Value], *inputs: np.ndarray) -> np.ndarray:
    """What a graph for microcontrollers makes of its inputs; it holds listed operators alone."""
    g = GraphBuilder(TARGET)
    given = [g.input(name, str(value.dtype), value.shape) for name, value in zip("xy", inputs, strict=False)]
    g.output("z", build(g, given[0], given[-1]))
    model = g.build("test")
    check_model(model)
    assert not foreign_operators(model)
    return run_model(model, dict(zip("xy", inputs, strict=False)))["z"]


def test_every_form_is_announced_and_no_other() -> None:
    assert FORMS.keys() - operator_list().operators.keys() == operator_list().composed.keys()


@pytest.mark.parametrize("operator", CASES)
def test_functions_of_one_number(operator: str) -> None:
    attributes, function = CASES[operator]
    actual = result_of(lambda g, x, _: g.op(operator, [x], x.shape, **attributes), X)
    expected = function(torch.from_numpy(X).double()).numpy()
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=5e-7)


@pytest.mark.parametrize("operator", COMPARISONS)
def test_comparisons(operator: str) -> None:
    x, y = (np.concatenate([part, tail]).astype(np.float32) for part, tail in ((X, [np.nan, 1]), (Y, [1, np.nan])))
    actual = result_of(lambda g, x, y: g.op(operator, [x, y], x.shape, "bool"), x, y)
    assert np.array_equal(actual, COMPARISONS[operator](x, y))
    assert not actual[-2:].any()


def test_what_is_not_a_number() -> None:
    x = np.array([1, np.nan, -np.inf, np.nan, 0], np.float32)
    assert np.array_equal(result_of(lambda g, x, _: g.op("IsNaN", [x], x.shape, "bool"), x), np.isnan(x))


@pytest.mark.parametrize("operator", ["Max", "Min"])
def test_extremes_of_three(operator: str) -> None:
    actual = result_of(lambda g, x, y: g.op(operator, [x, y, g.constant(0.25, "float32")], x.shape), X, Y)
    pick = np.maximum if operator == "Max" else np.minimum
    assert np.array_equal(actual, pick(pick(X, Y), np.float32(0.25)))


@pytest.mark.parametrize("bounds", [(-1.0, 2.0), (-1.0, None), (None, 2.0), (None, None)])
def test_clip_with_either_bound(bounds: tuple[float | None, float | None]) -> None:
    def build(g: GraphBuilder, x: Value, _: Value) -> Value:
        sides = [None if bound is None else g.constant(bound, "float32") for bound in bounds]
        return g.op("Clip", [x, *sides], x.shape)

    low, high = (side if bound is None else bound for bound, side in zip(bounds, (-np.inf, np.inf), strict=True))
    assert np.array_equal(result_of(build, X), np.clip(X, low, high))


@pytest.mark.parametrize("axis", [0, 1])
def test_softmax_of_masked_rows(axis: int) -> None:
    rows = X[:72].reshape(8, 9).copy()
    rows[2, 3] = rows[5, 0] = -np.inf
    actual = result_of(lambda g, x, _: g.op("Softmax", [x], x.shape, axis=axis), rows)
    np.testing.assert_allclose(actual, torch.from_numpy(rows).double().softmax(axis).numpy(), rtol=1e-5, atol=1e-7)
    assert actual[2, 3] == actual[5, 0] == 0


@pytest.mark.parametrize("kept", [0, 1])
def test_smallest_elements(kept: int) -> None:
    rows = X[:72].reshape(8, 9)
    shape = (8, 1) if kept else (8,)
    actual = result_of(lambda g, x, _: g.op("ReduceMin", [x], shape, axes=[1], keepdims=kept), rows)
    assert np.array_equal(actual, rows.min(1, keepdims=bool(kept)))


def test_other_targets_keep_the_operators() -> None:
    g = GraphBuilder()
    g.output("z", g.op("Tanh", [g.input("x", "float32", (3,))], (3,)))
    assert [node.op_type for node in g.build("test").graph.node] == ["Tanh"]
