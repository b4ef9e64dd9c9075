"""Padding: value and gradient on ONNX Runtime against float64 autograd."""

import pytest
from support.lowering_cases import Case, check_case
from torch.nn import functional as F

CASES: dict[str, Case] = {
    "constant": (lambda x: F.pad(x, (1, 2, 0, 1)) * 2, [(2, 3)]),
    "constant_of_another_value": (lambda x: F.pad(x, (1, 0), value=2.0), [(2, 3)]),
    "negative": (lambda x: F.pad(x, (-1, 1)), [(2, 3)]),
    "reflect_1d": (lambda x: F.pad(x, (1, 2), mode="reflect"), [(2, 3, 4)]),
    "reflect_2d": (lambda x: F.pad(x, (1, 2, 2, 1), mode="reflect"), [(2, 3, 4, 5)]),
    "reflect_3d": (lambda x: F.pad(x, (1, 2, 1, 1, 0, 1), mode="reflect"), [(1, 2, 3, 4, 3)]),
    "replicate_1d": (lambda x: F.pad(x, (1, 2), mode="replicate"), [(2, 3, 4)]),
    "replicate_2d": (lambda x: F.pad(x, (1, 2, 2, 1), mode="replicate"), [(2, 3, 4, 5)]),
    "replicate_3d": (lambda x: F.pad(x, (1, 2, 1, 1, 0, 1), mode="replicate"), [(1, 2, 3, 4, 3)]),
    "circular_1d": (lambda x: F.pad(x, (1, 2), mode="circular"), [(2, 3, 4)]),
    "circular_2d": (lambda x: F.pad(x, (1, 2, 2, 1), mode="circular"), [(2, 3, 4, 5)]),
}


@pytest.mark.parametrize("name", list(CASES))
def test_value_and_gradient(name: str) -> None:
    check_case(name, CASES[name])
