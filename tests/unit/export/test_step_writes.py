"""In-place operators of every kind export as their pure forms do, alone, through views and under a gradient."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from support.graphs import run_model
from torch import Tensor
from torch.func import grad
from torch.nn import functional as F

from edgebll.kernel.errors import ExportError
from edgebll_export import export_step
from edgebll_export.tracing.decompositions import DECOMPOSED, overload

#: Writes into its first argument, a square matrix, with another one and a vector at hand.
Write = Callable[[Tensor, Tensor, Tensor], Tensor]

#: In-place forms of operators that are traced in parts.
WRITES: dict[str, Write] = {
    "addcdiv": lambda x, y, v: x.addcdiv_(x, y.exp(), value=0.1),
    "addcmul": lambda x, y, v: x.addcmul_(x, y, value=0.5),
    "addmv": lambda x, y, v: x[0].addmv_(y, v, beta=0.5),
    "addr": lambda x, y, v: x.addr_(v, v, alpha=2.0),
    "clamp_max": lambda x, y, v: x.clamp_max_(0.2),
    "lerp.Scalar": lambda x, y, v: x.lerp_(y, 0.1),
    "lerp.Tensor": lambda x, y, v: x.lerp_(y, v),
    "logit": lambda x, y, v: x.mul_(0.3).add_(0.5).logit_(0.1),
    "threshold": lambda x, y, v: F.threshold(x, 0.1, 2.0, inplace=True),
    "tril": lambda x, y, v: x.tril_(),
    "triu": lambda x, y, v: x.triu_(1),
}
GENERATOR = torch.Generator().manual_seed(0)
X, Y, V = (torch.randn(shape, generator=GENERATOR) for shape in ((4, 4), (4, 4), (4,)))


def test_every_operator_in_parts_that_can_write_is_here() -> None:
    names = [name for family in DECOMPOSED.values() for name in family]
    writing = [name for name in names if hasattr(torch.ops.aten, str(overload(name)).split(".")[1] + "_")]
    assert sorted(writing) == sorted(WRITES)


def check(function: Callable[..., Tensor]) -> None:
    export = export_step(function, (X, Y, V))
    inputs = {"x": X.numpy(), "y": Y.numpy(), "v": V.numpy()}
    (found,) = run_model(export.model, {name: inputs[name] for name in export.inputs}).values()
    expected = function(X.double(), Y.double(), V.double())
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", WRITES)
def test_values_are_written(name: str) -> None:
    def step(x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        own = x * 2
        WRITES[name](own, y, v)
        return own + x

    check(step)


@pytest.mark.parametrize("name", WRITES)
def test_writes_through_views_have_gradients(name: str) -> None:
    def loss(x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        own = torch.stack([x * 2, y])
        WRITES[name](own[0].t(), y, v)
        return (own * own[1]).square().sum()

    check(lambda x, y, v: grad(loss)(x, y, v))


def test_parts_are_set_to_a_number() -> None:
    def loss(x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        own = x * y
        own[1:3].zero_()
        own[:, 0].fill_(3.0)
        return (own * v).square().sum()

    check(lambda x, y, v: grad(loss)(x, y, v))


def test_refusals_name_the_line_of_a_write() -> None:
    def step(x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        own = x.clone().lerp_(y, 0.5)
        own.erfinv_()
        return own.tril_()

    with pytest.raises(
        ExportError, match=rf"aten.erfinv.default in line {step.__code__.co_firstlineno + 2} of test_step_writes"
    ):
        export_step(step, (X, Y, V))
