"""Inverses, linear systems, exponentials and reflections: value and gradient on ONNX Runtime against float64 autograd."""

import pytest
import torch
from support.graphs import assert_lowered_equals_float64, to_model
from support.lowering_cases import Case, check_case
from torch import Tensor

from edgebll.kernel.errors import ExportError


def wide(x: Tensor) -> Tensor:
    """PyTorch factorises nothing in half precision."""
    return x if x.dtype == torch.float64 else x.float()


def reflections(x: Tensor) -> Tensor:
    vectors = wide(x).tril(-1)
    return torch.linalg.householder_product(vectors, 2 / (1 + vectors.square().sum(-2)))


def skew(x: Tensor) -> Tensor:
    return wide(x) - wide(x).mT


CASES: dict[str, Case] = {
    "inverse": (lambda x: torch.linalg.inv(wide(x)), [(4, 4)]),
    "inverse_of_many": (lambda x: torch.linalg.inv(wide(x)), [(2, 3, 3)]),
    "inverse_that_needs_pivots": (lambda x: torch.linalg.inv(wide(x)), [torch.tensor([[0.0, 2.0, 1], [1, 0, 3], [2, 1, 0]])]),
    "solve": (lambda a, b: torch.linalg.solve(wide(a), wide(b)), [(4, 4), (4, 2)]),
    "solve_for_a_vector": (lambda a, b: torch.linalg.solve(wide(a), wide(b)), [(3, 3), (3,)]),
    "solve_from_the_right": (lambda a, b: torch.linalg.solve(wide(a), wide(b), left=False), [(2, 3, 3), (2, 2, 3)]),
    "matrix_exp": (lambda x: torch.linalg.matrix_exp(skew(x)), [(4, 4)]),
    "householder_product": (reflections, [(5, 3)]),
    "householder_products": (reflections, [(2, 3, 3)]),
}  # fmt: skip


@pytest.mark.parametrize("name", list(CASES))
def test_value_and_gradient(name: str) -> None:
    check_case(name, CASES[name])


@pytest.mark.parametrize("shape", [(2, 3, 3), (1, 1)])
def test_value_and_gradient_of_other_exponentials(shape: tuple[int, ...]) -> None:
    """Not among the cases: NVIDIA's compiler takes long over them."""
    check_case("matrix_exp", (lambda x: torch.linalg.matrix_exp(wide(x) / 4), [shape]))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0, 300.0])
def test_exponentials_of_small_and_large_matrices(scale: float) -> None:
    x = torch.randn(4, 4, generator=torch.Generator().manual_seed(2))
    # rounding of the matrix itself grows with it
    assert_lowered_equals_float64(lambda x: torch.linalg.matrix_exp(scale * skew(x)), [x], 2e-5 * max(1.0, scale))


def test_systems_that_are_too_large_are_refused() -> None:
    with pytest.raises(ExportError, match="a linear system of 129 unknowns is too large for a graph, which takes 128"):
        to_model(lambda x: (torch.linalg.inv(x),), [torch.eye(129)])
