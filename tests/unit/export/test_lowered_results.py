"""A lowering that fails or returns something else than its operator is named with its place, never a traceback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from support.graphs import run_lowered, to_model

from edgebll.kernel.errors import ExportError
from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering_registry import LOWERINGS, Lowering

X = torch.tensor([[1.0, -2.0, 0.5], [3.0, 0.0, -1.0]])


def without_result(g: GraphBuilder, x: Value) -> None:
    g.elementwise("Relu", [x])


def as_list(g: GraphBuilder, x: Value) -> list[Value]:
    return g.node("Relu", [x], [(x.dtype, x.shape)])


def in_another_shape(g: GraphBuilder, x: Value) -> Value:
    return g.reshape(g.elementwise("Relu", [x]), (6,))


def as_integers(g: GraphBuilder, x: Value) -> Value:
    return g.elementwise("Cast", [x], dtype="int64", to=7)


def in_half(g: GraphBuilder, x: Value) -> Value:
    return g.elementwise("Cast", [x], dtype="float16", to=10)


def with_a_number_for_a_value(g: GraphBuilder, x: Value) -> Value:
    return g.elementwise("Max", [x, 0.0])  # type: ignore[list-item]


def dividing_by_zero(g: GraphBuilder, x: Value) -> Value:
    return g.reshape(x, (1 // len(x.shape[2:]),))


def asking_too_much(g: GraphBuilder, x: Value, more: Value) -> Value:
    return x


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (without_result, "returns nothing, but the operator one tensor float32 (2, 3)"),
        (as_list, "returns 1 results, but the operator one tensor float32 (2, 3)"),
        (in_another_shape, "returns float32 (6,), but the operator float32 (2, 3)"),
        (as_integers, "returns int64 (2, 3), but the operator float32 (2, 3)"),
        (in_half, "returns float16 (2, 3), but the operator float32 (2, 3)"),
        (
            with_a_number_for_a_value,
            "fails: AttributeError: 'float' object has no attribute 'shape' (line 41 of test_lowered_results.py)",
        ),
        (dividing_by_zero, "fails: ZeroDivisionError: integer division or modulo by zero (line 45 of test_lowered_results.py)"),
        (asking_too_much, "fails: TypeError: asking_too_much() missing 1 required positional argument: 'more'"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_wrong_lowering_is_named(wrong: Callable[..., Any], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_relu(monkeypatch, wrong)
    with pytest.raises(ExportError) as caught:
        to_model(lambda x: (torch.relu(x),), [X])
    assert words in str(caught.value)
    assert "(operator aten.relu.default, in " in str(caught.value)


def test_what_is_computed_wider_is_rounded_at_last(monkeypatch: pytest.MonkeyPatch) -> None:
    def wide(g: GraphBuilder, x: Value) -> Value:
        return g.elementwise("Relu", [g.elementwise("Cast", [x], dtype="float32", to=1)])

    replace_relu(monkeypatch, wide)
    (found,) = run_lowered(lambda x: (torch.relu(x),), [X.half()])
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, torch.relu(X).numpy())


def test_one_result_too_few_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def maximum(g: GraphBuilder, x: Value, axis: int) -> tuple[Value]:
        return (x,)

    monkeypatch.setitem(LOWERINGS, "aten.max.dim", Lowering("aten.max.dim", "mine", maximum))
    with pytest.raises(ExportError, match=r"returns 1 results, but the operator 2 results \(operator aten\.max\.dim"):
        to_model(lambda x: (x.max(1).values,), [X])


def replace_relu(monkeypatch: pytest.MonkeyPatch, function: Callable[..., Any]) -> None:
    monkeypatch.setitem(LOWERINGS, "aten.relu.default", Lowering("aten.relu.default", "mine", function))
