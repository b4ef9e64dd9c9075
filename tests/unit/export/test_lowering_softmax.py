"""Softmax and log-softmax: value and gradient on ONNX Runtime against float64 autograd."""

import pytest
import torch
from support.graphs import assert_lowered_equals_eager
from support.lowering_cases import Case, check_case
from torch.nn import functional as F

CASES: dict[str, Case] = {
    "softmax": (lambda x: F.softmax(x, 1), [(3, 4)]),
    "log_softmax": (lambda x: F.log_softmax(x, 1), [(3, 4)]),
    "softmax_of_first_axis": (lambda x: F.softmax(x, 0), [(3, 4)]),
    "softmin": (lambda x: F.softmin(x, 1), [(3, 4)]),
    "logsumexp": (lambda x: x.logsumexp(1), [(3, 4)]),
}


@pytest.mark.parametrize("name", list(CASES))
def test_value_and_gradient(name: str) -> None:
    check_case(name, CASES[name])


def test_of_a_scalar() -> None:
    assert_lowered_equals_eager(
        lambda x: (F.softmax(x, 0), F.log_softmax(x, -1), x.logsumexp(0), torch.func.grad(lambda v: F.softmax(v, 0))(x)),
        [torch.tensor(1.5)],
    )
