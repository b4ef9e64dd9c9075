"""Distances of all pairs: value and gradient on ONNX Runtime against float64 autograd."""

import math

import pytest
import torch
from support.lowering_cases import Case, check_case
from torch.nn import functional as F

WITHOUT = "donot_use_mm_for_euclid_dist"
NORMS = (0.0, 1.0, 1.5, 2.0, 3.0, math.inf)
CASES: dict[str, Case] = {
    **{f"cdist_{p}": (lambda x, y, p=p: torch.cdist(x, y, p), [(2, 3, 4), (2, 5, 4)]) for p in NORMS},
    "cdist_of_matrices": (lambda x, y: torch.cdist(x, y, compute_mode=WITHOUT), [(3, 4), (5, 4)]),
    "cdist_of_many": (lambda x, y: torch.cdist(x, y), [(3, 4), (30, 4)]),
    "cdist_of_equal_rows": (lambda x: torch.cdist(x, x, compute_mode=WITHOUT) + torch.cdist(x, x, 1.5), [(3, 4)]),
    "pdist": (lambda x: F.pdist(x), [(4, 3)]),
    "pdist_1": (lambda x: F.pdist(x, 1.0), [(4, 3)]),
    "pairwise_distance": (lambda x, y: F.pairwise_distance(x, y), [(4, 3), (4, 3)]),
    "cosine_similarity": (lambda x, y: F.cosine_similarity(x, y), [(4, 3), (4, 3)]),
}  # fmt: skip


@pytest.mark.parametrize("name", list(CASES))
def test_value_and_gradient(name: str) -> None:
    check_case(name, CASES[name])
